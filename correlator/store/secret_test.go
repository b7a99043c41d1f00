//go:build linux

package store_test

import (
	"bufio"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"fivetuple/correlator/store"
)

// echo answers each command with an error that repeats 128 bytes of its arguments, as Redis does for a command that it does not know.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go answer(conn)
		}
	}()
	return l.Addr().String()
}

func answer(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n') // *N
		if err != nil {
			return
		}
		n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
		var args []string
		for range n {
			_, _ = in.ReadString('\n') // $LENGTH
			arg, _ := in.ReadString('\n')
			args = append(args, strings.TrimSpace(arg))
		}
		told := strings.Join(args, ", ")
		_, err = conn.Write([]byte("-ERR unknown command, with args beginning with: " + told[:min(len(told), 128)] + "\r\n"))
		if err != nil {
			return
		}
	}
}

// TestNoPasswordIsRepeated has servers that tell everything they were told.
func TestNoPasswordIsRepeated(t *testing.T) {
	for _, mode := range []string{store.ModeSingle, store.ModeCluster, store.ModeSentinel} {
		for name, secret := range map[string]string{"whole": "hunter2-of-the-fleet", "cut": "hunter2-" + strings.Repeat("of-the-fleet", 20)} {
			t.Run(mode+"/"+name, func(t *testing.T) { wantNoPassword(t, mode, secret) })
		}
	}
}

func wantNoPassword(t *testing.T, mode, secret string) {
	t.Helper()
	o := options(echo(t))
	o.Mode, o.Username, o.PasswordFile = mode, "gw", file(t, secret)
	if mode == store.ModeSentinel {
		o.Master, o.Sentinel.PasswordFile = "m", o.PasswordFile
	}
	c, log := dial(t, o)
	_, pipelined := c.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		p.Get(t.Context(), "k")
		return nil
	})
	p := c.PSubscribe(t.Context(), "*")
	defer p.Close()
	_, subscribed := p.Receive(t.Context())
	for i, err := range []error{c.Get(t.Context(), "k").Err(), pipelined, subscribed} {
		if err == nil || strings.Contains(err.Error(), secret[:8]) {
			t.Errorf("%d: %v, want an error without the password", i, err)
		}
		if mode == store.ModeSingle && !strings.Contains(err.Error(), "unknown command") {
			t.Errorf("%d: %v, want what the server says", i, err)
		}
	}
	if strings.Contains(log.String(), secret[:8]) {
		t.Errorf("the password is in the log:\n%s", log)
	}
}

func TestDialRefuses(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "absent")
	t.Setenv("FIVETUPLE_TEST_EMPTY", "")
	for _, c := range []struct {
		name, want string
		change     func(*store.Options)
	}{
		{"no addresses", "no addresses", func(o *store.Options) { o.Addresses = nil }},
		{"wrong settings", "queue: 0 is not in 64..65536", func(o *store.Options) { o.Queue = 0 }},
		{"no password file", "redis.password_file: open " + absent, func(o *store.Options) { o.PasswordFile = absent }},
		{"empty password file", "no password in it", func(o *store.Options) { o.PasswordFile = file(t, "\n") }},
		{"endless password file", "it is a device", func(o *store.Options) { o.PasswordFile = "/dev/zero" }},
		{"large password file", "more than 409", func(o *store.Options) { o.PasswordFile = file(t, strings.Repeat("x", 5000)) }},
		{"variable that is not set", "redis.password_env: FIVETUPLE_TEST_NONE: no password in it", func(o *store.Options) {
			o.PasswordEnv = "FIVETUPLE_TEST_NONE"
		}},
		{"empty variable", "FIVETUPLE_TEST_EMPTY: no password in it", func(o *store.Options) { o.PasswordEnv = "FIVETUPLE_TEST_EMPTY" }},
		{"no password for Sentinels", "redis.sentinel.password_file: open " + absent, func(o *store.Options) {
			o.Mode, o.Master, o.Sentinel.PasswordFile = store.ModeSentinel, "m", absent
		}},
		{"no authorities", "redis.tls.ca_file: ", func(o *store.Options) { o.TLS = store.TLSOptions{Enabled: true, CAFile: file(t, "?")} }},
		{"no certificate", "redis.tls.cert_file and key_file: ", func(o *store.Options) {
			o.TLS = store.TLSOptions{Enabled: true, CertFile: absent, KeyFile: absent}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options("127.0.0.1:1")
			c.change(&o)
			client, err := store.Dial(o, zerolog.Nop())
			if err == nil || client != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}
