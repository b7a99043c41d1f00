package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fivetuple/correlator"
)

func TestAskStatus(t *testing.T) {
	s := startServer(t, func(o *Options) { o.Status = func() []byte { return []byte(`{"ready":true}`) } })
	text, err := AskStatus(t.Context(), s.path)
	if err != nil || string(text) != `{"ready":true}` {
		t.Errorf("%q, %v", text, err)
	}
	g := dial(t, s.path) // calls and questions on one connection
	g.prepare(routeKey)
	if k, text, err := g.ask(kindStatus); k != kindStatus || string(text) != `{"ready":true}` || err != nil {
		t.Errorf("%v, %q, %v", k, text, err)
	}
	g.prepare(routeKey, "noop", "")
	if n := s.stats.Malformed.Load() + s.stats.IOErrors.Load(); n != 0 {
		t.Errorf("%d errors are counted", n)
	}
}

// ask sends an empty frame and returns the answer.
func (g *gateway) ask(k kind) (kind, []byte, error) {
	if err := g.send(k, nil); err != nil {
		return 0, nil, err
	}
	return g.receive()
}

// TestAskStatusOfOthers: without a status, the error says why, within the context's time.
func TestAskStatusOfOthers(t *testing.T) {
	dir := socketDir(t)
	silent := filepath.Join(dir, "silent")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: silent, Net: "unix"}) // like a process that is stopped
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	dead := filepath.Join(dir, "dead")
	d, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	d.SetUnlinkOnClose(false)
	_ = d.Close()
	for path, want := range map[string]string{
		startServer(t, nil).path:   "an answer of type Error: it is a runner of an older version, or not ours",
		silent:                     "does not answer",
		dead:                       "connection refused",
		filepath.Join(dir, "none"): "no such file",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		started := time.Now()
		text, err := AskStatus(ctx, path)
		cancel()
		if !errors.Is(err, ErrStatus) || !strings.Contains(err.Error(), want) || text != nil || time.Since(started) > patience/2 {
			t.Errorf("%s: %q, %v, want %s", path, text, err, want)
		}
	}
}

func TestSeenRoutes(t *testing.T) {
	s := startServer(t, nil)
	g := dial(t, s.path)
	check := func(want string) {
		t.Helper()
		if ids, all := s.seen.List(); fmt.Sprint(ids, all) != want {
			t.Errorf("%v, %v, want %s", ids, all, want)
		}
	}
	check("[] true")
	g.prepare("route&service#b&s#ext-plugin-pre-req#1&1", "unknown", "")
	g.prepare("route#a#ext-plugin-post-req#1")
	g.prepare("route#a#ext-plugin-pre-req#2")
	g.prepare("global_rule#7#ext-plugin-pre-req#2")
	g.prepare("no known key")
	check("[a b global] true")
	after := startServer(t, nil) // one that takes over
	after.Restore(s.Tokens())
	if ids, _ := after.seen.List(); len(ids) != 3 {
		t.Errorf("taken over: %v", ids)
	}
	for i := range maxSeen {
		s.seen.add(correlator.Route{Route: fmt.Sprint("r", i)})
	}
	if ids, all := s.seen.List(); len(ids) != maxSeen || all {
		t.Errorf("%d routes, all %v", len(ids), all)
	}
}
