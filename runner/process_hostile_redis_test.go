package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"fivetuple/correlator/fleet"
	redistest "fivetuple/examples/redis"
)

// impostor stands between a runner and a Redis, and answers one command itself.
type impostor struct {
	t       *testing.T
	redis   string
	address string

	mu             sync.Mutex
	command, reply string // what is answered, by the command's name in lower case; empty: nothing
	told           int    // how often it was
	conns          []net.Conn
}

// newImpostor returns one before a Redis, which ends with the test.
func newImpostor(t *testing.T, redis string) *impostor {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	i := &impostor{t: t, redis: redis, address: listener.Addr().String()}
	t.Cleanup(func() { _ = listener.Close(); i.answers("", "") })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go i.serve(client)
		}
	}()
	return i
}

// answers has a command answered from now on, at new connections.
func (i *impostor) answers(command, reply string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.command, i.reply, i.told = command, reply, 0
	for _, c := range i.conns {
		_ = c.Close()
	}
	i.conns = nil
}

func (i *impostor) wasAsked() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.told > 0
}

// answer returns what is answered to some commands; "" if Redis answers them.
func (i *impostor) answer(commands []byte) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	lower := bytes.ToLower(commands)
	has := func(command string) bool {
		return command != "" && bytes.Contains(lower, []byte("\r\n"+command+"\r\n"))
	}
	switch {
	case has(i.command):
		i.told++
		return i.reply
	case i.command == "auth" && has("hello"): // AUTH is for servers without it
		return "-ERR unknown command\r\n"
	}
	return ""
}

func (i *impostor) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", i.redis)
	if err != nil {
		return
	}
	defer server.Close()
	i.mu.Lock()
	i.conns = append(i.conns, client, server)
	i.mu.Unlock()
	go func() { _, _ = io.Copy(client, server) }()
	p := make([]byte, 1<<20)
	for {
		n, err := client.Read(p)
		if err != nil {
			return
		}
		to, text := server, p[:n]
		if reply := i.answer(text); reply != "" {
			to, text = client, []byte(reply)
		}
		if _, err := to.Write(text); err != nil {
			return
		}
	}
}

// peakOf returns the most memory that a process has had so far, in bytes.
func peakOf(t *testing.T, pid int) (kb int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	_, after, ok := strings.Cut(string(status), "VmHWM:")
	if !ok {
		t.Fatalf("no VmHWM of process %d: it has ended", pid)
	}
	_, err = fmt.Sscan(after, &kb)
	must(t, err)
	return kb << 10
}

// TestHostileRedis: a server that answers any of the commands of the start by lengths that it does not keep ends no runner, takes little
// of its memory, and keeps no call waiting; the log names it, and when it is gone the runner is in its fleet.
func TestHostileRedis(t *testing.T) {
	redis := redistest.Start(t, redistest.Options{ACL: "user default on >secret-of-the-test ~* &* +@all\n"})
	b := newBench(t, 0)
	i := newImpostor(t, redis.Address())
	b.inFleet(i.address)
	password := filepath.Join(b.dir, "password")
	must(t, os.WriteFile(password, []byte("secret-of-the-test"), 0o600))
	b.set("redis: {", "redis: {password_file: "+password+", ")
	b.set("fleet: {", "fleet: {shared_verdicts: enforce, ")
	i.answers("hello", "$9000000000000000000\r\n")
	p := b.start().ready()
	l := b.load(2)
	await(t, "a line of the log that names the reply", func() bool {
		return strings.Contains(p.text(), "read from redis at "+i.address+": reply rejected: bulk string of 9000000000000000000 bytes, at most 1048576")
	})
	replies := []struct{ name, text string }{
		{"makeslice", "$9000000000000000000\r\n"},
		{"2 GB", "$2147483000\r\n"},
		{"a map", "%2147483647\r\n"},
		{"an array", "*2147483647\r\n"},
		{"nested arrays", strings.Repeat("*1\r\n", 1<<20)},
		{"attributes", strings.Repeat("|0\r\n", 1<<20)},
		{"a line", "+" + strings.Repeat("x", 32<<20)},
		{"nothing", "*0\r\n"},
		{"another protocol", "HTTP/1.1 400 Bad Request\r\n\r\n"},
	}
	said := 0
	for at, command := range []string{"hello", "auth", "client", "info", "time", "set", "zcard", "pubsub", "psubscribe"} {
		for j, reply := range replies {
			if at > 0 && j != (3*at)%len(replies) && j != (3*at+1)%len(replies) { // of each of the others two
				continue
			}
			i.answers(command, reply.text)
			await(t, command+" that is answered by "+reply.name, func() bool {
				select {
				case <-p.done:
					t.Fatalf("%s as the answer to %s ended the runner: %v", reply.name, command, p.err)
				default:
				}
				return i.wasAsked()
			})
			said++
		}
		l.more(10)
	}
	if peak := peakOf(t, p.cmd.Process.Pid); peak > 256<<20 {
		t.Errorf("%d MB at most", peak>>20)
	} else {
		t.Logf("%d answers, %d MB at most", said, peak>>20)
	}
	i.answers("", "")
	redistest.Await(t, "a gateway that is in its fleet", func() bool {
		n, err := redis.Admin().StrLen(t.Context(), fleet.NewKeys("test", false).Who("gw-a")).Result()
		return err == nil && n > 0
	})
	l.wantNoneFailed()
	p.terminate()
	if err := p.ends(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
}
