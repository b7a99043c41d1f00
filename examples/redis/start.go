//go:build linux

package redistest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"fivetuple/examples/lab"
)

// Options say what a server is like. The zero value listens on loopback, without TLS, and lets everybody in.
type Options struct {
	// In is where it runs; nil is the test's own network.
	In *lab.Namespace
	// Host is the address that it listens on; empty is 127.0.0.1.
	Host string
	// ACL is the text of its ACL file; empty lets the user `default` do everything without a password.
	ACL string
	// TLS has its certificate; nil is none: no encryption.
	TLS *Certificates
	// Config are more lines of redis.conf, like "maxmemory 4mb".
	Config []string
}

// Server is one process of Redis. Its methods are for the test's own goroutine: they fail the test.
type Server struct {
	t       testing.TB
	options Options
	program []string
	file    string
	port    int
	process *process
	output  bytes.Buffer // what it says before it has read its settings; to be read when it has ended
	admin   *redis.Client
}

// Start starts a server, waits until it answers, and stops it when the test ends. Without Redis the test is skipped.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	return start(t, o, []string{look(t, "redis-server")})
}

func start(t testing.TB, o Options, program []string) *Server {
	t.Helper()
	o.Host = cmp.Or(o.Host, "127.0.0.1")
	dir := t.TempDir()
	s := &Server{t: t, options: o, program: program, port: freePort(t, o.In, o.Host), file: filepath.Join(dir, "redis.conf")}
	s.write("users.acl", s.users(o.ACL))
	s.write("redis.conf", s.config())
	s.admin = s.client(adminUser, adminPassword, adminRetries)
	t.Cleanup(s.close)
	s.Restart()
	return s
}

// config is redis.conf. Nothing is saved: what restarts is empty.
func (s *Server) config() string {
	dir := filepath.Dir(s.file)
	lines := []string{
		"bind " + s.options.Host, "dir " + dir, "logfile " + filepath.Join(dir, "log"), "aclfile " + filepath.Join(dir, "users.acl"),
		`save ""`, "appendonly no", "daemonize no", "protected-mode no",
	}
	if s.options.TLS == nil {
		lines = append(lines, fmt.Sprintf("port %d", s.port))
	} else {
		lines = append(lines, s.options.TLS.config(s.port)...)
	}
	return strings.Join(append(lines, s.options.Config...), "\n") + "\n"
}

// Address is host:port.
func (s *Server) Address() string { return net.JoinHostPort(s.options.Host, strconv.Itoa(s.port)) }

// Restart starts the process, which must have ended, at the same address and with nothing in it.
func (s *Server) Restart() {
	s.t.Helper()
	s.process = s.run()
	var last error
	defer func() {
		if s.t.Failed() {
			s.t.Logf("last answer: %v", last)
		}
	}()
	Await(s.t, "redis at "+s.Address(), func() bool {
		if s.process.isGone() {
			s.t.Fatalf("redis ended:\n%s\n%s", s.output.String(), s.Log())
		}
		if last = s.listens(); last == nil {
			last = s.admin.Ping(context.Background()).Err()
		}
		return last == nil
	})
}

// listens is asked first, because go-redis logs each connection that is refused.
func (s *Server) listens() error {
	dial := new(net.Dialer).DialContext
	if s.options.In != nil {
		dial = s.options.In.DialContext
	}
	conn, err := dial(context.Background(), "tcp", s.Address())
	if err != nil {
		return err
	}
	return conn.Close()
}

func (s *Server) run() *process {
	s.t.Helper()
	cmd := exec.Command(s.program[0], append([]string{s.file}, s.program[1:]...)...) //nolint:gosec // what was looked up
	cmd.Stdout = &s.output
	p, err := run(s.options.In, cmd)
	if err != nil {
		s.t.Fatalf("start redis: %v", err)
	}
	return p
}

// maxLog is how much of a log is shown, in bytes.
const maxLog = 4096

// Log returns the end of the server's log.
func (s *Server) Log() string {
	text, _ := os.ReadFile(filepath.Join(filepath.Dir(s.file), "log"))
	return string(text[max(0, len(text)-maxLog):])
}

// Do is a command with all rights; an error fails the test.
func (s *Server) Do(args ...any) any {
	s.t.Helper()
	reply, err := s.admin.Do(s.t.Context(), args...).Result()
	if err != nil {
		s.t.Fatalf("%s: %v: %v", s.Address(), args[0], err)
	}
	return reply
}

func (s *Server) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(filepath.Dir(s.file), name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) close() {
	if s.process != nil {
		if err := s.process.signal(syscall.SIGKILL); err != nil {
			s.t.Errorf("stop redis: %v", err)
		}
	}
	if s.t.Failed() {
		s.t.Logf("log of redis at %s:\n%s", s.Address(), s.Log())
	}
}
