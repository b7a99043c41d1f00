package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/api7/ext-plugin-proto/go/A6"
	hreq "github.com/api7/ext-plugin-proto/go/A6/HTTPReqCall"
	pc "github.com/api7/ext-plugin-proto/go/A6/PrepareConf"
	flatbuffers "github.com/google/flatbuffers/go"
	"golang.org/x/sys/unix"
)

// The users and the group of these tests. No account has these numbers.
const (
	strangerUID  = 12002 // outside of the socket's group, unless a test says otherwise
	gatewayUID   = 12001
	gatewayGroup = 12003
)

// dialAs connects as another user, with one group.
func dialAs(t *testing.T, uid, gid int, path string) (net.Conn, error) {
	t.Helper()
	needRoot(t)
	type dialled struct {
		conn net.Conn
		err  error
	}
	result := make(chan dialled)
	go func() {
		runtime.LockOSThread() // and never unlocked, so that the thread ends: it alone is another user's
		for _, set := range []struct{ call, a, b, c uintptr }{
			{unix.SYS_SETGROUPS, 0, 0, 0},
			{unix.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid)},
			{unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)},
		} {
			if _, _, errno := unix.RawSyscall(set.call, set.a, set.b, set.c); errno != 0 {
				result <- dialled{nil, errno}
				return
			}
		}
		conn, err := net.Dial("unix", path)
		result <- dialled{conn, err}
	}()
	d := <-result
	if d.err == nil {
		t.Cleanup(func() { _ = d.conn.Close() })
	}
	return d.conn, d.err
}

// connectStrangers connects many times as a stranger who is in the gateways' group.
func connectStrangers(t *testing.T, path string, n int) []net.Conn {
	t.Helper()
	conns := make([]net.Conn, n)
	for i := range conns {
		var err error
		if conns[i], err = dialAs(t, strangerUID, gatewayGroup, path); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	return conns
}

// newPeers is a bench whose socket is of the gateways' group, which strangers are members of, if a test lets them be.
func newPeers(t *testing.T, settings string) *bench {
	t.Helper()
	needRoot(t)
	b := newBench(t, 0)
	must(t, os.Chmod(b.dir, 0o755))
	b.set("runner: {", fmt.Sprintf("runner: {socket_group: %q, %s", fmt.Sprint(gatewayGroup), settings))
	return b
}

// wantSocket checks mode and group of the socket.
func (b *bench) wantSocket(mode fs.FileMode, gid uint32) {
	b.t.Helper()
	info, err := os.Lstat(b.path)
	must(b.t, err)
	if got := info.Sys().(*syscall.Stat_t).Gid; info.Mode().Perm() != mode || got != gid {
		b.t.Errorf("the socket has mode %o and group %d, want %o and %d", info.Mode().Perm(), got, mode, gid)
	}
}

// frameOf puts a payload into a frame.
func frameOf(kind byte, payload []byte) []byte {
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))
	frame[0] = kind
	return append(frame, payload...)
}

// roundTrip sends a frame and returns the kind of the answer.
func roundTrip(conn net.Conn, frame []byte) (kind byte, err error) {
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(frame); err != nil {
		return 0, err
	}
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return 0, err
	}
	kind, head[0] = head[0], 0
	_, err = io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(head[:])))
	return kind, err
}

// prepareFrame is a PrepareConf with a configuration of packet-insight, empty if it is "".
func prepareFrame(route, conf string) []byte {
	return frameOf(1, prepareBody("route#"+route+"#ext-plugin-pre-req#1", conf))
}

// sharedEntries is a HTTPReqCall of almost 16 MB whose headers and arguments are one list of four million offsets of one entry.
func sharedEntries() []byte {
	const entries = 4_100_000
	b := flatbuffers.NewBuilder(4*entries + 1024)
	name := b.CreateString("a")
	A6.TextEntryStart(b)
	A6.TextEntryAddName(b, name)
	entry := A6.TextEntryEnd(b)
	hreq.ReqStartHeadersVector(b, entries)
	for range entries {
		b.PrependUOffsetT(entry)
	}
	list := b.EndVector(entries)
	hreq.ReqStart(b)
	hreq.ReqAddHeaders(b, list)
	hreq.ReqAddArgs(b, list)
	b.Finish(hreq.ReqEnd(b))
	return frameOf(2, b.FinishedBytes())
}

// memory returns a figure of /proc/PID/status in MiB: VmRSS, or VmHWM, its peak.
func (p *program) memory(figure string) (mib int) {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	must(p.t, err)
	_, rest, _ := strings.Cut(string(text), figure+":")
	var kib int
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		p.t.Fatalf("%s: %v", figure, err)
	}
	return kib >> 10
}

// wantPeak checks the most memory that a process ever had.
func (p *program) wantPeak(mib int) {
	p.t.Helper()
	if got := p.memory("VmHWM"); got > mib {
		p.t.Errorf("the runner took %d MiB, want at most %d", got, mib)
	} else {
		p.t.Logf("peak %d MiB", got)
	}
}

// TestStrangerIsKeptOut by the socket's mode and group, also after the socket was made again, and after a take-over, which may change them.
func TestStrangerIsKeptOut(t *testing.T) {
	b := newPeers(t, "")
	p := b.start().ready()
	check := func(mode fs.FileMode, mayStranger bool) {
		t.Helper()
		b.wantSocket(mode, gatewayGroup)
		if conn, err := dialAs(t, gatewayUID, gatewayGroup, b.path); err != nil {
			t.Errorf("a gateway cannot connect: %v", err)
		} else if kind, err := roundTrip(conn, prepareFrame("a", "{}")); kind != 1 || err != nil {
			t.Errorf("a gateway is answered by a frame of type %d, %v", kind, err)
		}
		if _, err := dialAs(t, strangerUID, strangerUID, b.path); mayStranger != (err == nil) || err != nil && !errors.Is(err, fs.ErrPermission) {
			t.Errorf("a stranger connects: %v, want %t", err, mayStranger)
		}
	}
	check(0o660, false)
	must(t, os.Remove(b.path))
	p.says("the socket's file was deleted: made again")
	check(0o660, false)
	b.start("--take-over").ready()
	must(t, p.ends())
	check(0o660, false)

	b.set("runner: {", `runner: {socket_mode: "0666", `)
	open := b.start("--take-over").ready()
	open.says("every local user may act as a gateway: set runner.socket_mode or, under systemd, SocketMode= to 0660, or list the gateway's user in runner.peer_uids")
	check(0o666, true)
	b.set(`socket_mode: "0666"`, `socket_mode: "0660"`)
	b.start("--take-over").ready()
	must(t, open.ends())
	check(0o660, false)
}

// TestSocketIsNeverOpen: whoever connects while the socket is being made is kept out, whatever the umask of the process is.
func TestSocketIsNeverOpen(t *testing.T) {
	b := newPeers(t, "")
	old := syscall.Umask(0)
	stop, caught := make(chan struct{}), make(chan error)
	for range 2 {
		go func() {
			for {
				select {
				case <-stop:
					caught <- nil
					return
				default:
				}
				if info, err := os.Lstat(b.path); err == nil && info.Mode().Perm()&0o006 != 0 {
					caught <- fmt.Errorf("mode %o", info.Mode().Perm())
					return
				}
			}
		}()
	}
	p := b.start()
	syscall.Umask(old)
	p.ready()
	close(stop)
	must(t, errors.Join(<-caught, <-caught))
}

// TestUnknownGroupAndPeer: what names nobody ends the start, with what to do.
func TestUnknownGroupAndPeer(t *testing.T) {
	for setting, want := range map[string]string{
		"socket_group: no-such-group": `runner.socket_group: "no-such-group" is neither a number nor a group of this host`,
		"peer_uids: [no-such-user]":   `runner.peer_uids: "no-such-user" is neither a number nor a user of this host`,
	} {
		b := newBench(t, 0)
		b.set("runner: {", "runner: {"+setting+", ")
		p := b.start()
		if err := p.ends(); err == nil || !strings.Contains(p.text(), want) {
			t.Errorf("%s: %v, want %s:\n%s", setting, err, want, p.text())
		}
	}
}

// TestPeersAreChecked: of those who can connect, only the users of the settings are answered, and root.
func TestPeersAreChecked(t *testing.T) {
	b := newPeers(t, fmt.Sprintf(`socket_mode: "0666", peer_uids: ["%d"], `, gatewayUID))
	p := b.start().ready()
	for range 20 {
		conn, err := dialAs(t, strangerUID, strangerUID, b.path)
		must(t, err)
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = conn.Write(prepareFrame("a", "{}"))
		if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil || os.IsTimeout(err) {
			t.Fatalf("a stranger is answered: %d bytes, %v", n, err)
		}
	}
	for _, uid := range []int{gatewayUID, 0} {
		conn, err := dialAs(t, uid, gatewayGroup, b.path)
		must(t, err)
		if kind, err := roundTrip(conn, prepareFrame("a", "{}")); kind != 1 || err != nil {
			t.Errorf("user %d is answered by a frame of type %d, %v", uid, kind, err)
		}
	}
	line := p.says("connection refused: its user is not in runner.peer_uids")
	if line["uid"] != float64(strangerUID) || strings.Count(p.text(), "its user is not in") > 3 {
		t.Errorf("logged: %v", p.text())
	}
	next := b.start("--take-over").ready() // and by the next process, which gets connections and checks them again
	must(t, p.ends())
	if conn, err := dialAs(t, strangerUID, strangerUID, b.path); err != nil {
		t.Error(err)
	} else if kind, err := roundTrip(conn, prepareFrame("a", "{}")); err == nil {
		t.Errorf("a stranger is answered by a frame of type %d", kind)
	}
	next.says("connection refused: its user is not in runner.peer_uids")
}

// TestListsOfMillions: the entries of a frame's lists take no more memory than the frame.
func TestListsOfMillions(t *testing.T) {
	b := newPeers(t, "")
	p := b.start().ready()
	l := b.load(4)
	l.more(20)
	frame := sharedEntries()
	var all sync.WaitGroup
	for _, conn := range connectStrangers(t, b.path, 8) {
		all.Go(func() {
			if kind, err := roundTrip(conn, frame); kind != 0 || err != nil {
				t.Errorf("answered by a frame of type %d, %v", kind, err)
			}
		})
	}
	all.Wait()
	p.wantPeak(400)
	l.more(20)
	l.wantNoneFailed()
	await(t, "memory that is returned", func() bool { return p.memory("VmRSS") < 150 })
}

// TestIdleConnectionsOfAStranger: they take all that there are, and the gateway is served at once all the same.
func TestIdleConnectionsOfAStranger(t *testing.T) {
	b := newPeers(t, "")
	p := b.start().ready()
	l := b.load(4)
	l.more(20)
	first := connectStrangers(t, b.path, 9000)
	for i := range 20 {
		prepare(t, b.path, fmt.Sprint("r", i))
	}
	health := exec.Command(b.command().Path, "health", "runner", "--config", filepath.Join(b.dir, "fivetuple.yaml"))
	health.Env = b.command().Env
	if out, err := health.CombinedOutput(); err != nil {
		t.Errorf("health: %v, %s", err, out)
	}
	l.more(100)
	l.wantNoneFailed()
	p.says("a bound is reached: a connection of the user that holds most is evicted")
	if n := strings.Count(p.text(), "a bound is reached"); n > 3 {
		t.Errorf("%d lines", n)
	}
	p.wantPeak(400)
	runtime.KeepAlive(first)
}

// TestConnectionsOfAGateway: one that is alone gets more connections than there may be, by waiting for its own to end.
func TestConnectionsOfAGateway(t *testing.T) {
	b := newPeers(t, "")
	own := b.command()
	cmd := exec.Command("/bin/sh", append([]string{"-c", `ulimit -n 160; exec "$0" "$@"`}, own.Args...)...)
	cmd.Env = own.Env
	b.run(cmd).ready()
	l := b.load(100)
	l.more(5000)
	l.wantNoneFailed()
}

// TestConfigurationsOfAStranger: as many tokens as there are, and long configurations, cost a gateway none of its own, and a process that
// takes over gets all that are left.
func TestConfigurationsOfAStranger(t *testing.T) {
	b := newPeers(t, "")
	p := b.start().ready()
	l := b.load(4)
	l.more(50)
	conn := connectStrangers(t, b.path, 1)[0]
	for i := range 60 {
		if kind, err := roundTrip(conn, prepareFrame(fmt.Sprint("long", i), strings.Repeat(" ", 16<<20-1024))); kind != 1 || err != nil {
			t.Fatalf("type %d, %v", kind, err)
		}
	}
	for i := range 40 {
		if kind, err := roundTrip(conn, prepareFrame(fmt.Sprint("less", i), "{}"+strings.Repeat(" ", 2<<20-1024))); kind != 1 || err != nil {
			t.Fatalf("type %d, %v", kind, err)
		}
	}
	for i := range 20_000 {
		if kind, err := roundTrip(conn, prepareFrame(fmt.Sprint("f", i), "{}")); kind != 1 || err != nil {
			t.Fatalf("type %d, %v", kind, err)
		}
	}
	p.wantPeak(500)
	next := b.start("--take-over").ready()
	must(t, p.ends())
	gave, took := p.says("another process has taken over"), next.says("took over from a running process")
	if gave["tokens_left_out"] != 0.0 || took["tokens"] != gave["tokens"] || took["tokens"].(float64) < 16_000 {
		t.Errorf("given: %v, taken: %v", gave, took)
	}
	l.more(50)
	l.wantNoneFailed()
	next.wantPeak(500)
}

// TestHalfFrames take memory as they come, end by themselves, and keep no process from handing over.
func TestHalfFrames(t *testing.T) {
	b := newPeers(t, "")
	p := b.start().ready()
	l := b.load(4)
	l.more(20)
	started := time.Now()
	halves := connectStrangers(t, b.path, 1500)
	for i, conn := range halves {
		half := []byte{2, 0xff, 0xff, 0xff, 1, 2, 3, 4}[:1+i%8]
		if i%2 == 0 { // a short one
			half = []byte{2, 0, 0x0f, 0xf0, 1, 2, 3, 4}[:1+i%8]
		}
		_, err := conn.Write(half)
		must(t, err)
	}
	if kind, err := roundTrip(dialSocket(t, b.path), prepareFrame("big", "{}"+strings.Repeat(" ", 15<<20))); kind != 1 || err != nil {
		t.Errorf("a gateway's long frame is answered by one of type %d, %v", kind, err)
	}
	l.more(20)
	p.wantPeak(250)
	second := b.start("--take-over").ready()
	third := b.start("--take-over").ready() // while the first one waits for the halves
	must(t, p.ends())
	must(t, second.ends())
	if took := time.Since(started); took > 2*patience {
		t.Errorf("the predecessors lived for %v", took)
	}
	l.more(20)
	l.wantNoneFailed()
	third.wantPeak(250)
	for _, conn := range halves {
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := conn.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
			t.Fatalf("a half frame is kept: %v", err)
		}
	}
}

// TestSilentPeers: those that ask nothing and answer nothing keep a predecessor no longer than a frame may take.
func TestSilentPeers(t *testing.T) {
	b := newPeers(t, "")
	p := b.start().ready()
	l := b.load(4)
	l.more(20)
	conn := connectStrangers(t, b.path, 1)[0]
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, err := conn.Write(prepareFrame("a", "{}"))
	must(t, err)
	answer := make([]byte, 256)
	n, err := conn.Read(answer)
	must(t, err)
	token := pc.GetRootAsResp(answer[4:n], 0).ConfToken()
	call := flatbuffers.NewBuilder(64)
	hreq.ReqStart(call)
	hreq.ReqAddConfToken(call, token)
	call.Finish(hreq.ReqEnd(call))
	_, err = conn.Write(frameOf(2, call.FinishedBytes()))
	must(t, err)
	_, err = conn.Read(answer)
	must(t, err)
	if answer[0] != 3 {
		t.Fatalf("a call without a tuple is answered by a frame of type %d, want a question", answer[0])
	}
	second := b.start("--take-over").ready()
	b.start("--take-over").ready()
	must(t, p.ends())
	must(t, second.ends())
	l.more(20)
	l.wantNoneFailed()
}

// TestHealthOfAStranger: who may not connect learns why.
func TestHealthOfAStranger(t *testing.T) {
	b := newPeers(t, "")
	b.start().ready()
	program := filepath.Join(b.dir, "fivetuple")
	self, err := os.Executable()
	must(t, err)
	text, err := os.ReadFile(self)
	must(t, err)
	must(t, os.WriteFile(program, text, 0o755))
	must(t, os.Chmod(filepath.Join(b.dir, "fivetuple.yaml"), 0o644))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "health", "runner", "--config", filepath.Join(b.dir, "fivetuple.yaml"))
	cmd.Env = append(os.Environ(), programEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: strangerUID, Gid: strangerUID}}
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "as a member of the socket's group (runner.socket_mode, runner.socket_group)") {
		t.Errorf("%v: %s", err, out)
	}
}
