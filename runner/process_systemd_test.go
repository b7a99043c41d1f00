package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// manager plays systemd: it holds the listener, takes notices, keeps descriptors, and hands them to the next process.
type manager struct {
	b        *bench
	listener *os.File
	notices  *net.UnixConn

	mu     sync.Mutex
	stored []*os.File // named as they are stored
	states []string
}

func newManager(b *bench) *manager {
	b.t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: b.path, Net: "unix"})
	if err != nil {
		b.t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	f, err := l.File()
	if err != nil {
		b.t.Fatal(err)
	}
	_ = l.Close()
	notices, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(b.dir, "notify"), Net: "unixgram"})
	if err != nil {
		b.t.Fatal(err)
	}
	m := &manager{b: b, listener: f, notices: notices}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for m.take() {
			continue
		}
	}()
	b.t.Cleanup(func() {
		_ = notices.Close()
		<-done
		_ = f.Close()
		m.forget("")
	})
	return m
}

// take takes one notice. As systemd, it drops a name's descriptors when asked, and closes those that it does not store.
func (m *manager) take() bool {
	buffer, rights := make([]byte, 4096), make([]byte, 4096)
	n, k, _, _, err := m.notices.ReadMsgUnix(buffer, rights)
	if err != nil {
		return false
	}
	var descriptors []int
	messages, _ := unix.ParseSocketControlMessage(rights[:k])
	for i := range messages {
		found, _ := unix.ParseUnixRights(&messages[i])
		descriptors = append(descriptors, found...)
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(buffer[:n])) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		fields[name] = value
	}
	m.mu.Lock()
	if _, barrier := fields["BARRIER"]; !barrier {
		m.states = append(m.states, string(buffer[:n]))
	}
	m.mu.Unlock()
	switch {
	case fields["FDSTORE"] == "1":
		m.mu.Lock()
		for _, fd := range descriptors {
			m.stored = append(m.stored, os.NewFile(uintptr(fd), fields["FDNAME"]))
		}
		m.mu.Unlock()
	case fields["FDSTOREREMOVE"] == "1":
		m.forget(fields["FDNAME"])
		fallthrough
	default:
		for _, fd := range descriptors {
			_ = unix.Close(fd)
		}
	}
	return true
}

// forget closes what is stored by a name; "" is all.
func (m *manager) forget(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stored = slices.DeleteFunc(m.stored, func(f *os.File) bool {
		if name != "" && f.Name() != name {
			return false
		}
		_ = f.Close()
		return true
	})
}

func (m *manager) count(name string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.stored {
		if f.Name() == name {
			n++
		}
	}
	return n
}

// start starts the unit's process: the shell tells it its own number.
func (m *manager) start(store int, args ...string) *program {
	m.b.t.Helper()
	command := m.b.command(args...)
	cmd := exec.Command("/bin/sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`}, command.Args...)...)
	m.mu.Lock()
	defer m.mu.Unlock() // nothing is closed before the process has it
	files := append([]*os.File{m.listener}, m.stored...)
	names := []string{"fivetuple.socket"}
	for _, f := range files[1:] {
		names = append(names, f.Name())
	}
	cmd.ExtraFiles = files
	cmd.Env = append(command.Env, "NOTIFY_SOCKET="+m.notices.LocalAddr().String(), "LISTEN_FDS="+strconv.Itoa(len(files)),
		"LISTEN_FDNAMES="+strings.Join(names, ":"), "FDSTORE="+strconv.Itoa(store))
	return m.b.run(cmd)
}

// waitState waits for a notice.
func (m *manager) waitState(state string) {
	m.b.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		m.mu.Lock()
		found := slices.Contains(m.states, state)
		states := slices.Clone(m.states)
		m.mu.Unlock()
		if found {
			return
		}
		if time.Now().After(deadline) {
			m.b.t.Fatalf("no %q among %q", state, states)
		}
	}
}

// TestSystemdRestartKeepsConnections restarts the unit while many call over connections that they keep.
func TestSystemdRestartKeepsConnections(t *testing.T) {
	b := newBench(t, time.Second)
	m := newManager(b)
	p := m.start(512)
	l := b.load(16) // before it is ready: the listener has been there from the start
	m.waitState("READY=1")
	kept := dialSocket(t, b.path)
	for i := range 5 {
		l.more(200)
		p.terminate()
		if err := p.ends(); err != nil {
			t.Errorf("exit: %v", err)
		}
		m.waitState("STOPPING=1")
		stored := m.count("fivetuple.connection")
		if stored < 2 || m.count("fivetuple.tokens") != 1 {
			t.Errorf("%d connections and %d lists of tokens are stored", stored, m.count("fivetuple.tokens"))
		}
		if end := p.says("runner ends: systemd keeps what it had"); end["calls_lost"] != 0.0 || end["connections"] != float64(stored) {
			t.Errorf("%v", end)
		}
		p = m.start(512).ready()
		took := p.says("took what systemd kept")
		if took["connections"] != float64(stored) || took["tokens"] != 4.0 {
			t.Errorf("%d stored, taken: %v", stored, took)
		}
		l.more(200)
		if n := m.count("fivetuple.connection"); n != 0 {
			t.Errorf("restart %d: %d connections are still stored", i, n)
		}
	}
	l.wantNoneFailed()
	if _, err := kept.Write([]byte{9, 0, 0, 0}); err != nil { // no frame of the protocol: it is told so
		t.Error(err)
	}
	if _, err := kept.Read(make([]byte, 1)); err != nil {
		t.Errorf("the connection of the first process: %v", err)
	}
	if _, err := os.Stat(b.path); err != nil {
		t.Errorf("systemd's socket: %v", err)
	}
}

// TestSystemdStoreIsOff or not there: the runner drains as elsewhere, and leaves systemd's socket.
func TestSystemdStoreIsOff(t *testing.T) {
	b := newBench(t, 100*time.Millisecond)
	m := newManager(b)
	for _, store := range []int{0, 512} {
		p := m.start(store).ready()
		if store > 0 { // the manager does not listen any more
			m.waitState("READY=1")
			_ = m.notices.Close()
		}
		p.terminate()
		if err := p.ends(); err != nil {
			t.Errorf("exit: %v", err)
		}
		p.says("runner ends")
		if _, err := os.Stat(b.path); err != nil {
			t.Error(err)
		}
	}
}

// TestSystemdStoreHasItsSize: what does not fit is closed, the rest is kept.
func TestSystemdStoreHasItsSize(t *testing.T) {
	b := newBench(t, time.Second)
	m := newManager(b)
	p := m.start(3).ready()
	for range 5 {
		conn := dialSocket(t, b.path)
		if _, err := conn.Write([]byte{1}); err != nil { // a frame's first byte: it is not between two
			t.Fatal(err)
		}
		dialSocket(t, b.path)
	}
	last := dialSocket(t, b.path) // when it is answered, all others have been accepted
	if _, err := last.Write([]byte{9, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if _, err := last.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	p.terminate()
	if err := p.ends(); err != nil {
		t.Errorf("exit: %v", err)
	}
	if n := m.count("fivetuple.connection"); n != 2 {
		t.Errorf("%d connections are stored", n)
	}
}

func TestSystemdRefusals(t *testing.T) {
	b := newBench(t, 0)
	m := newManager(b)
	p := m.start(0, "--take-over")
	if err := p.ends(); err == nil || !strings.Contains(p.text(), "socket activation") {
		t.Errorf("%v, %s", err, p.text())
	}
	elsewhere := newBench(t, 0)
	m.b = elsewhere
	p = m.start(0)
	if err := p.ends(); err == nil || !strings.Contains(p.text(), "systemd handed over") {
		t.Errorf("%v, %s", err, p.text())
	}
}
