//go:build linux

package store_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"fivetuple/correlator/store"
	redistest "fivetuple/examples/redis"
)

// output is a log that may be written to while it is read.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func options(addresses ...string) store.Options {
	o := store.Default()
	o.Addresses = addresses
	return o
}

func dial(t *testing.T, o store.Options) (redis.UniversalClient, *output) {
	t.Helper()
	log := &output{}
	c, err := store.Dial(o, zerolog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, log
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	overwrite(t, path, text)
	return path
}

func overwrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// isAnswered is whether a command works now.
func isAnswered(t *testing.T, c redis.UniversalClient) func() bool {
	t.Helper()
	return func() bool { return c.Ping(t.Context()).Err() == nil }
}

func refused(t *testing.T, c redis.UniversalClient, want string) {
	t.Helper()
	if err := c.Ping(t.Context()).Err(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

// acl lets one user in.
func acl(password string) string {
	return "user default off\nuser gw on >" + password + " ~* &* +@all\n"
}

// TestPasswordFileRotates has a password replaced under a client that is there.
func TestPasswordFileRotates(t *testing.T) {
	s := redistest.Start(t, redistest.Options{ACL: acl("first")})
	o := options(s.Address())
	o.Username, o.PasswordFile = "gw", file(t, "first\n")
	c, log := dial(t, o)
	if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	s.SetACL(acl("second"))
	s.Disconnect()
	refused(t, c, "WRONGPASS")
	overwrite(t, o.PasswordFile, "second")
	redistest.Await(t, "the new password", isAnswered(t, c))
	if text := log.String(); strings.Contains(text, "first") || strings.Contains(text, "second") {
		t.Errorf("a password in the log:\n%s", text)
	}
}

func TestPasswordEnv(t *testing.T) {
	s := redistest.Start(t, redistest.Options{ACL: acl("right")})
	o := options(s.Address())
	o.Username, o.PasswordEnv = "gw", "FIVETUPLE_TEST_PASSWORD"
	t.Setenv(o.PasswordEnv, "right")
	c, _ := dial(t, o)
	redistest.Await(t, "an answer", isAnswered(t, c))
	t.Setenv(o.PasswordEnv, "right\n") // of a variable, everything is the password
	c, _ = dial(t, o)
	refused(t, c, "WRONGPASS")
}

func TestDatabase(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	o := options(s.Address())
	o.Database = 3
	c, _ := dial(t, o)
	if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n := s.Do("DBSIZE"); n != int64(0) {
		t.Errorf("%v keys in database 0", n)
	}
}

// TestServerGoesAndComes has one client over an end, a stall and a restart of its server.
func TestServerGoesAndComes(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	o := options(s.Address())
	o.Timeout = 100 * time.Millisecond
	c, log := dial(t, o)
	redistest.Await(t, "an answer", isAnswered(t, c))
	s.Stall()
	refused(t, c, "i/o timeout")
	s.Continue()
	redistest.Await(t, "an answer", isAnswered(t, c))
	s.Kill()
	for range 3 * 5 {
		_ = c.Ping(t.Context())
	}
	refused(t, c, "connection refused")
	s.Restart()
	redistest.Await(t, "an answer", isAnswered(t, c))
	if n := strings.Count(log.String(), "go-redis"); n == 0 || n > 5 {
		t.Errorf("%d lines in the log, want 1 to 5:\n%s", n, log)
	}
}

func TestSentinel(t *testing.T) {
	s := redistest.StartSentinel(t, redistest.Options{ACL: acl("secret")}, "of-sentinels")
	o := options(s.Addresses()...)
	o.Mode, o.Master, o.Username, o.PasswordFile = store.ModeSentinel, redistest.Master, "gw", file(t, "secret")
	o.Sentinel.PasswordFile = file(t, "of-sentinels\n")
	c, log := dial(t, o)
	set := func() bool { return c.Set(t.Context(), "k", "v", 0).Err() == nil }
	redistest.Await(t, "a write", set)
	was := s.Primary()
	was.Kill()
	s.AwaitFailover(was)
	redistest.Await(t, "a write to the new primary", set)
	if text := log.String(); strings.Contains(text, "secret") || strings.Contains(text, "of-sentinels") {
		t.Errorf("a password in the log:\n%s", text)
	}
}

func TestCluster(t *testing.T) {
	certificates := redistest.NewCertificates(t)
	s := redistest.StartCluster(t, redistest.Options{ACL: acl("secret"), TLS: certificates})
	o := options(s.Addresses()[0])
	o.Mode, o.Username, o.PasswordFile = store.ModeCluster, "gw", file(t, "secret")
	o.TLS = store.TLSOptions{Enabled: true, CAFile: certificates.CA}
	c, _ := dial(t, o)
	for _, key := range []string{"{1}", "{2}", "{3}", "{4}"} {
		if err := c.Set(t.Context(), key, "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	slot := s.Slot("{1}")
	s.Reshard(slot, func() {
		if err := c.Get(t.Context(), "{1}").Err(); err != nil {
			t.Error(err)
		}
	})
}
