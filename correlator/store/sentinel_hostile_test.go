//go:build linux

package store

import (
	"bytes"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"

	redistest "fivetuple/examples/redis"
)

// answering returns the address of a server that answers what it is sent by a function.
func answering(t *testing.T, answer func(command string) string) string {
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
			go func() {
				defer conn.Close()
				p := make([]byte, 4096)
				for {
					n, err := conn.Read(p)
					if err != nil {
						return
					}
					text := answer(string(bytes.ToLower(p[:n])))
					if _, err := conn.Write([]byte(text)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// greeting answers what a connection begins with, and PING.
func greeting(command string) string {
	if strings.Contains(command, "hello") {
		return noHello
	}
	return strings.Repeat("+PONG\r\n", strings.Count(command, "*")) // to each command of a pipeline
}

// TestHostileSentinel: whatever a Sentinel answers when it is asked for the primary, or says of another one, it ends no process, and the
// next Sentinel is believed.
func TestHostileSentinel(t *testing.T) {
	var said atomic.Int64
	server := answering(t, greeting)
	host, port, _ := net.SplitHostPort(server)
	honest := "*2\r\n$" + string(rune('0'+len(host))) + "\r\n" + host + "\r\n$" + string(rune('0'+len(port))) + "\r\n" + port + "\r\n"
	for _, x := range []struct{ name, address, word string }{
		{"no parts", "*0\r\n", ""},
		{"one part", "*1\r\n$1\r\na\r\n", ""},
		{"parts that are none", "*2\r\n$-1\r\n*0\r\n", ""},
		{"a length", "*2147483647\r\n", ""},
		{"an empty word", honest, "*0\r\n"},
		{"a word without words", honest, "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$8\r\nmymaster\r\n"},
		{"a word that no message has", honest, "*3\r\n$7\r\nmessage\r\n*1\r\n:1\r\n:2\r\n"},
		{"a word that is too long", honest, "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$9000000000000000000\r\n"},
	} {
		t.Run(x.name, func(t *testing.T) {
			said.Store(0)
			sentinel := answering(t, func(command string) string {
				switch {
				case strings.Contains(command, "get-master-addr-by-name"):
					return x.address
				case strings.Contains(command, "subscribe"):
					said.Add(1)
					return "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n" + x.word
				}
				return greeting(command)
			})
			o := Default()
			o.Mode, o.Master, o.Addresses = ModeSentinel, "mymaster", []string{sentinel}
			c, err := Dial(o, zerolog.Nop())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			err = c.Do(t.Context(), "ping").Err()
			if x.word == "" {
				if err == nil || !strings.Contains(err.Error(), "find the primary mymaster: ask Sentinel "+sentinel) || strings.Contains(err.Error(), "unknown command") {
					t.Errorf("%v", err)
				}
				return
			}
			pings := 0
			defer func() {
				if t.Failed() {
					t.Logf("%d words, %d answers, the last: %v", said.Load(), pings, err)
				}
			}()
			redistest.Await(t, "answers after the word", func() bool {
				if err = c.Do(t.Context(), "ping").Err(); err == nil && said.Load() > 0 {
					pings++
				}
				return pings > 10
			})
		})
	}
}
