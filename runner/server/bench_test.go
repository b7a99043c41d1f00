package server

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// benchCall is what a gateway sends for a request of a browser.
func benchCall(id, token uint32) []byte {
	return frame(kindHTTPReqCall, call{
		id: id, token: token, path: "/api/v1/items", ip: []byte{192, 0, 2, 7}, args: [][2]string{{"page", "2"}},
		headers: [][2]string{
			{"host", "example.com"},
			{"user-agent", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0"},
			{"accept", "text/html"},
			{"accept-encoding", "gzip, deflate, br"},
			{"x-forwarded-for", "192.0.2.7"},
			{"cookie", "session=0123456789abcdef0123456789abcdef"},
		},
	}.encode())
}

// raw makes calls without allocations of its own.
type raw struct {
	conn   net.Conn
	calls  [][]byte
	answer [4096]byte
	next   int
}

func newRaw(t testing.TB, g *gateway, routes int) *raw {
	t.Helper()
	r := &raw{conn: g.conn}
	for i := range routes {
		r.calls = append(r.calls, benchCall(uint32(i+1), g.prepare(fmt.Sprintf("route#%d#ext-plugin-pre-req#1", i), "noop", "")))
	}
	_ = g.conn.SetDeadline(time.Time{})
	return r
}

func (r *raw) call() error {
	if _, err := r.conn.Write(r.calls[r.next]); err != nil {
		return err
	}
	r.next = (r.next + 1) % len(r.calls)
	if _, err := io.ReadFull(r.conn, r.answer[:frameHeader]); err != nil {
		return err
	}
	_, err := io.ReadFull(r.conn, r.answer[:int(r.answer[2])<<8|int(r.answer[3])])
	if err == nil && kind(r.answer[0]) == kindError {
		err = fmt.Errorf("an error")
	}
	return err
}

// TestACallAllocatesNothing outside plugins.
func TestACallAllocatesNothing(t *testing.T) {
	r := newRaw(t, adopted(t, fuzzServer(t)), 20)
	failed := error(nil)
	if n := testing.AllocsPerRun(2000, func() {
		if err := r.call(); err != nil {
			failed = err
		}
	}); n != 0 || failed != nil {
		t.Errorf("%v allocations, %v", n, failed)
	}
}

// BenchmarkCall is a call of a plugin that does nothing, to servers in processes of their own.
func BenchmarkCall(b *testing.B) {
	paths := libraryAndOurs(b)
	for _, routes := range []int{1, 20} {
		for _, mode := range []string{childLibrary, childOurs} {
			b.Run(fmt.Sprintf("%s/%d", mode, routes), func(b *testing.B) {
				r := newRaw(b, dial(b, paths[mode]), routes)
				for b.Loop() {
					if err := r.call(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkSession is a call in one process, with the allocations of both sides: the gateway's makes none.
func BenchmarkSession(b *testing.B) {
	r := newRaw(b, adopted(b, fuzzServer(b)), 1)
	b.ReportAllocs()
	for b.Loop() {
		if err := r.call(); err != nil {
			b.Fatal(err)
		}
	}
}
