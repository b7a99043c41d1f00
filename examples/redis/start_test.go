//go:build linux

package redistest_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	redistest "fivetuple/examples/redis"
)

func TestRestartIsEmpty(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	s.Do("SET", "a", "1")
	s.Shutdown()
	if err := s.Admin().Ping(t.Context()).Err(); err == nil {
		t.Error("answers after its end")
	}
	address := s.Address()
	s.Restart()
	if n := s.Do("DBSIZE"); n != int64(0) || s.Address() != address {
		t.Errorf("%v keys at %s after a restart, want none at %s", n, s.Address(), address)
	}
	s.Do("SET", "a", "1")
	s.Kill()
	s.Restart()
	if n := s.Do("DBSIZE"); n != int64(0) {
		t.Errorf("%v keys after a crash, want none", n)
	}
}

// TestStallKeepsConnections has a server that takes a command and answers once it goes on.
func TestStallKeepsConnections(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	s.Stall()
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	conn, err := net.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	answer := make([]byte, 7)
	if _, err := conn.Read(answer); !isTimeout(err) {
		t.Fatalf("stalled: %v, want no answer", err)
	}
	<-soon.Done()
	s.Continue()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Read(answer); err != nil || string(answer) != "+PONG\r\n" {
		t.Fatalf("continued: %q, %v", answer, err)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestUsers(t *testing.T) {
	const one, other = "user default off\nuser a on >one ~* +get +ping\n", "user default off\nuser a on >other ~* +get +ping\n"
	s := redistest.Start(t, redistest.Options{ACL: one})
	a := s.Client("a", "one")
	if err := a.Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
	refused(t, "NOPERM", a.Set(t.Context(), "k", "v", 0).Err())
	refused(t, "NOAUTH", s.Client("", "").Ping(t.Context()).Err())
	s.SetACL(other)
	s.Disconnect()
	refused(t, "WRONGPASS", s.Client("a", "one").Ping(t.Context()).Err())
	if err := s.Client("a", "other").Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
}

func TestFull(t *testing.T) {
	s := redistest.Start(t, redistest.Options{Config: []string{"maxmemory-policy noeviction"}})
	s.Set("maxmemory", "1")
	refused(t, "OOM", s.Admin().Set(t.Context(), "k", "v", 0).Err())
}

func refused(t *testing.T, want string, err error) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestTLS(t *testing.T) {
	c := redistest.NewCertificates(t)
	c.Mutual = true
	s := redistest.Start(t, redistest.Options{TLS: c})
	s.Do("SET", "a", "1")
	strict := c.Client()
	strict.Time = nil
	if err := handshake(s, strict); err != nil {
		t.Error(err)
	}
	anonymous := c.Client()
	anonymous.Certificates = nil
	if err := handshake(s, anonymous); err == nil {
		t.Error("a client without a certificate is served")
	}
	c.Renew(-time.Minute)
	s.ReloadTLS()
	if err := handshake(s, strict); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("%v, want a certificate that has expired", err)
	}
	s.Do("GET", "a")
}

// handshake asks for an answer, too: TLS 1.3 tells a client that it is refused only then.
func handshake(s *redistest.Server, config *tls.Config) error {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Minute}, "tcp", s.Address(), config)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 64))
	return err
}

func TestSentinel(t *testing.T) {
	s := redistest.StartSentinel(t, redistest.Options{ACL: "user default off\n"}, "secret")
	first := s.Primary()
	if first != s.Servers[0] {
		t.Fatal("the first server is not the primary")
	}
	refused(t, "READONLY", s.Servers[1].Admin().Set(t.Context(), "k", "v", 0).Err())
	s.Failover()
	second := s.Primary()
	if second != s.Servers[1] {
		t.Fatal("no failover")
	}
	second.Do("SET", "k", "v")
	redistest.Await(t, "the old primary as a replica", func() bool {
		v, _ := first.Admin().Get(t.Context(), "k").Result()
		return v == "v"
	})
	second.Kill()
	s.AwaitFailover(second)
	refused(t, "NOAUTH", s.Sentinels[0].Client("", "").Ping(t.Context()).Err())
}

func TestCluster(t *testing.T) {
	c := redistest.StartCluster(t, redistest.Options{})
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addresses()[:1]})
	defer client.Close()
	owners := map[*redistest.Server]bool{}
	for i := range 30 {
		key := fmt.Sprint("{", i, "}")
		if err := client.Set(t.Context(), key, i, 0).Err(); err != nil {
			t.Fatal(err)
		}
		owners[c.Owner(c.Slot(key))] = true
	}
	if len(owners) != 3 {
		t.Errorf("%d nodes have keys, want 3", len(owners))
	}
	slot := c.Slot("{7}")
	before := c.Owner(slot)
	round := 0
	c.Reshard(slot, func() {
		round++
		_, err := before.Admin().Get(t.Context(), fmt.Sprint("{7}new", round)).Result()
		refused(t, []string{"ASK", "MOVED"}[round-1], err)
		if v, err := client.Get(t.Context(), "{7}").Result(); err != nil || v != "7" {
			t.Errorf("round %d: %q, %v", round, v, err)
		}
	})
	if v, err := client.Get(t.Context(), "{7}").Result(); err != nil || v != "7" || c.Owner(slot) == before {
		t.Errorf("after resharding: %q, %v", v, err)
	}
}

func TestClusterNodeComesBack(t *testing.T) {
	c := redistest.StartCluster(t, redistest.Options{ACL: "user default off\n", TLS: redistest.NewCertificates(t)})
	c.Nodes[1].Kill()
	redistest.Await(t, "a cluster that is down", func() bool {
		err := c.Nodes[0].Admin().Set(t.Context(), "k", "v", 0).Err()
		return err != nil && strings.Contains(err.Error(), "CLUSTERDOWN")
	})
	c.Nodes[1].Restart()
	c.AwaitServed()
}
