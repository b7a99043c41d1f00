//go:build linux

package store

import (
	"io"
	"net"
	"testing"
	"time"

	redistest "fivetuple/examples/redis"
)

// cutting returns an address that leads to a server, for so many bytes.
func cutting(t *testing.T, to string, bytes int64) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		in, err := l.Accept()
		if err != nil {
			return
		}
		defer closed(in)
		out, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer closed(out)
		go func() { _, _ = io.Copy(in, out) }()
		_, _ = io.CopyN(out, in, bytes)
	}()
	return l.Addr().String()
}

// TestNothingWithoutEnd cuts the connection after each byte of what is sent: no key is left that would live for ever.
func TestNothingWithoutEnd(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	now := time.Now()
	found := map[string]bool{}
	for n := int64(1); ; n += 3 {
		s.Do("FLUSHALL")
		c := connect(t, new(Meter), func(o *Options) { o.Addresses = []string{cutting(t, s.Address(), n)} })
		var batch []sending
		for _, w := range []name{{KindSet, "s", ""}, {KindHSet, "h", "f"}, {KindXAdd, "x", "f"}} {
			batch = append(batch, sending{nil, write{name: w, maxLen: 1, until: now.Add(time.Hour)}})
		}
		outcomes, _ := send(t.Context(), c, now, batch)
		_ = c.Close()
		keys := ttls(t, s)
		for _, key := range keys {
			found[key] = true
		}
		if outcomes[2] == arrived {
			break
		}
		if n > 10_000 {
			t.Fatal("never all")
		}
	}
	if len(found) != 3 {
		t.Error("wrote only", found)
	}
}
