package main

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// dialSocket connects as a worker of the gateway does.
func dialSocket(t *testing.T, path string) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// TestDrainGoesOnServing after SIGTERM, ends well, and before APISIX would kill it.
func TestDrainGoesOnServing(t *testing.T) {
	b := newBench(t, 900*time.Millisecond)
	p := b.start().ready()
	l := b.load(8)
	l.more(100)
	p.terminate()
	at := time.Now()
	l.more(100)
	l.wantNoneFailed()
	served := time.Since(at)
	if err := p.ends(); err != nil {
		t.Errorf("exit: %v", err)
	}
	took := time.Since(at)
	if end := p.says("runner ends"); end["calls_lost"] != 0.0 {
		t.Errorf("%v", end)
	}
	if served > 800*time.Millisecond || took < 850*time.Millisecond || took > 2*time.Second {
		t.Errorf("served for %v, ended after %v", served, took)
	}
	if entries, err := filepath.Glob(b.path + "*"); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// TestDrainCountsWhatIsLost: a call that comes only half is lost; a kept connection without one is not.
func TestDrainCountsWhatIsLost(t *testing.T) {
	b := newBench(t, 0)
	p := b.start().ready()
	dialSocket(t, b.path)
	half := dialSocket(t, b.path)
	if _, err := half.Write([]byte{2, 0, 0, 100, 1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	whole := dialSocket(t, b.path) // when this one is answered, the other has been read
	if _, err := whole.Write([]byte{9, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if _, err := whole.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	p.terminate()
	if err := p.ends(); err != nil {
		t.Errorf("exit: %v", err)
	}
	if end := p.says("runner ends"); end["calls_lost"] != 1.0 {
		t.Errorf("%v", end)
	}
}

// TestForeignSocketIsLeftAlone: a socket that somebody else made at the path since is not removed.
func TestForeignSocketIsLeftAlone(t *testing.T) {
	b := newBench(t, 0)
	p := b.start().ready()
	if err := os.Remove(b.path); err != nil {
		t.Fatal(err)
	}
	foreign, err := net.ListenUnix("unix", &net.UnixAddr{Name: b.path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = foreign.Close() }()
	p.terminate()
	if err := p.ends(); err != nil {
		t.Errorf("exit: %v", err)
	}
	if info, err := os.Stat(b.path); err != nil || info.Mode().Type() != fs.ModeSocket {
		t.Errorf("%v, %v", info, err)
	}
	dialSocket(t, b.path)
}

// TestAgentAndTakeOver exclude each other.
func TestAgentAndTakeOver(t *testing.T) {
	p := newBench(t, 0).start("--agent", "--take-over")
	if err := p.ends(); err == nil || !strings.Contains(p.text(), "none of the others can be") {
		t.Errorf("%v, %s", err, p.text())
	}
}
