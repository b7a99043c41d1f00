package server

import (
	"math"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// load is how many calls and reconnects are made; FIVETUPLE_FULL=1 makes the full load.
func load() (calls, reconnects int) {
	if os.Getenv("FIVETUPLE_FULL") == "1" {
		return 500_000, 20_000
	}
	return 10_000, 500
}

// usage is what a process holds.
type usage struct {
	goroutines, files int
	heap              uint64
}

func usageNow(t *testing.T) usage {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		skip(t, "no /proc: "+err.Error())
	}
	runtime.GC()
	runtime.GC() // pools are emptied in two
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{runtime.NumGoroutine(), len(files), m.HeapAlloc}
}

// wantBack waits until all is where it was, but for some heap.
func (u usage) wantBack(t *testing.T, heap uint64) {
	t.Helper()
	var now usage
	deadline := time.Now().Add(patience)
	for {
		now = usageNow(t)
		if now.goroutines <= u.goroutines && now.files <= u.files && now.heap <= u.heap+heap {
			t.Logf("before %+v, after %+v", u, now)
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("before %+v, after %+v", u, now)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// leakConf asks, rewrites, panics and answers in turn.
var leakConf = []string{
	`[{"Do":"var","K":"a"},{"Do":"body"},{"Do":"alive"},{"Do":"set","K":"X-A","V":"1"}]`, `[{"Do":"panic"}]`, `[{"Do":"write","V":"w"}]`, `[{"Do":"vars"},{"Do":"view"}]`,
}

func TestLoadLeavesNothing(t *testing.T) {
	calls, reconnects := load()
	s := startServer(t, nil)
	s.Server.log = s.Server.log.Level(5) // its lines are kept by the test
	warm := dial(t, s.path)
	_ = warm.conn.SetDeadline(time.Time{})
	var tokens []uint32
	for _, ops := range leakConf {
		tokens = append(tokens, warm.route(ops))
	}
	before := usageNow(t)
	for i := range calls {
		warm.asked = warm.asked[:0]
		warm.call(call{id: uint32(i), token: tokens[i%len(tokens)], path: "/", headers: [][2]string{{"host", "h"}}})
	}
	for i := range reconnects {
		reconnect(t, s.path, i, tokens[i%len(tokens)])
	}
	before.wantBack(t, 2<<20)
}

// reconnect makes a connection that ends in one of the ways that there are.
func reconnect(t *testing.T, path string, i int, token uint32) {
	t.Helper()
	g := bare(t, dialRaw(t, path))
	defer func() { _ = g.conn.Close() }()
	payload := call{token: token, path: "/"}.encode()
	switch i % 5 {
	case 0: // at once
	case 1:
		g.call(call{token: token})
	case 2: // amid a frame
		_, _ = g.conn.Write(frame(kindHTTPReqCall, payload)[:20])
	case 3: // with a frame that makes no sense
		_, _ = g.conn.Write([]byte("\x09\x00\x00\x04wxyz"))
		_, _ = g.await()
	case 4: // amid a call
		_ = g.send(kindHTTPReqCall, payload)
	}
}

// TestIdleConnectionsKeepNothingLarge, whatever went over them before: the gateway keeps 32 for each worker.
func TestIdleConnectionsKeepNothingLarge(t *testing.T) {
	s := startServer(t, nil)
	before := usageNow(t)
	for range 16 {
		g := dial(t, s.path)
		g.body = make([]byte, 2<<20)
		g.call(call{token: g.route(`[{"Do":"body"},{"Do":"view"},{"Do":"write-n","V":"2000000"}]`), path: strings.Repeat("p", 2<<20)})
		g.respond(respCall{token: g.route(`[{"Do":"rbody"},{"Do":"rwrite-n","V":"2000000"}]`), headers: make([][2]string, 50_000)})
		g.body = nil
	}
	before.goroutines, before.files = math.MaxInt, math.MaxInt // they stay
	before.wantBack(t, 4<<20)
}

func TestClosedServerLeavesNothing(t *testing.T) {
	before := usageNow(t)
	for range 20 {
		s := startServer(t, nil)
		for range 5 {
			reconnect(t, s.path, 2, 1)
			dial(t, s.path).prepare(routeKey)
		}
		s.Close(t.Context())
	}
	runtime.GC()
	now := usageNow(t)
	if now.goroutines > before.goroutines {
		t.Errorf("before %+v, after %+v", before, now)
	}
}
