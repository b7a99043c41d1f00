package stack_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// site is a running stack under a capture. The tests in tool_*_test.go put programs of other people into it.
type site struct {
	t       *testing.T
	ctx     context.Context
	s       *stack.Stack
	capture *lab.Capture
	// atOnce: requests over HTTP/2 may be under way at once. The one that the runner sees first need not be the first one, and
	// what came before it is in no call's figures.
	atOnce bool
}

// openSite starts a stack and captures at the gateway's front interface.
func openSite(t *testing.T, o stack.Options) *site {
	t.Helper()
	if o.Settings == nil {
		o.Settings = map[string]any{}
	}
	o.Settings["correlator"] = map[string]any{"quiet": "1s"} // the last call of an open connection is logged after it
	ctx, s := start(t, o)
	capture, err := s.Capture(lab.CaptureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &site{t: t, ctx: ctx, s: s, capture: capture}
}

// program returns the path of an installed program.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		skip(t, "install the Debian package that has "+name+": "+err.Error())
	}
	return path
}

// run runs a program in a namespace until it ends, and returns what it printed. Its exit status must be want.
func (w *site) run(in *lab.Namespace, want int, stdin io.Reader, name string, args ...string) (stdout string) {
	w.t.Helper()
	cmd := exec.CommandContext(w.ctx, program(w.t, name), args...)
	var out, complaints bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &complaints
	err := in.Start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != want {
		w.t.Fatalf("%s %s: %v, want exit status %d\n%s%s", name, strings.Join(args, " "), err, want, out.String(), complaints.String())
	}
	return out.String()
}

// serve runs a program in a namespace until the test ends, and waits until it accepts connections at an address.
func (w *site) serve(in *lab.Namespace, address, name string, args ...string) *output {
	w.t.Helper()
	out := &output{}
	cmd := exec.Command(program(w.t, name), args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := in.Start(cmd); err != nil {
		w.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	w.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	waitUntil(w.t, func() bool {
		select {
		case err := <-ended:
			ended <- err
			w.t.Fatalf("%s ended: %v\n%s", name, err, out.String())
		default:
		}
		c, err := in.DialContext(w.ctx, "tcp", address)
		return err == nil && c.Close() == nil
	})
	return out
}

// output keeps what a program prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// lines returns the complete lines that contain a text.
func (o *output) lines(with string) (lines []string) {
	for line := range strings.Lines(o.String()) {
		if strings.Contains(line, with) && strings.HasSuffix(line, "\n") {
			lines = append(lines, line)
		}
	}
	return lines
}

// calls waits until the log has a line for each of n calls, ends runner and capture, and compares each line with the capture. It
// fails if there are more lines. The lines are in the order of their connections and of the requests on each.
func (w *site) calls(n int) []logged {
	w.t.Helper()
	var lines []logged
	deadline := time.Now().Add(recordsWait)
	for lines = readLog(w.t, w.s.CallsFile()); len(lines) < n; lines = readLog(w.t, w.s.CallsFile()) {
		if time.Now().After(deadline) {
			w.t.Fatalf("the log has %d calls, want %d", len(lines), n)
		}
		time.Sleep(sweepEvery)
	}
	if err := w.s.StopRunner(); err != nil { // it writes what it has
		w.t.Error(err)
	}
	if lines = readLog(w.t, w.s.CallsFile()); len(lines) != n {
		w.t.Fatalf("the log has %d calls, want %d", len(lines), n)
	}
	if err := w.capture.Stop(); err != nil {
		w.t.Fatal(err)
	}
	slices.SortFunc(lines, func(a, b logged) int {
		if a.Connection != b.Connection {
			return int(a.Connection) - int(b.Connection)
		}
		return a.Requests - b.Requests
	})
	w.compare(lines)
	return lines
}

// compare compares the packets and IP bytes of calls with the capture, connection by connection.
func (w *site) compare(lines []logged) {
	w.t.Helper()
	flows := lab.Flows(w.capture.Packets(), nil)
	for first := 0; first < len(lines); {
		next := first
		for next < len(lines) && lines[next].Connection == lines[first].Connection {
			next++
		}
		w.compareConnection(flows, lines[first:next])
		first = next
	}
}

// compareConnection compares the calls of one connection, each of which met the plugin.
func (w *site) compareConnection(flows map[lab.FlowKey]*lab.Flow, lines []logged) {
	w.t.Helper()
	flow := flowOf(flows, lines[0].peer())
	if flow == nil {
		w.t.Errorf("the capture has no connection of %v", lines[0].peer())
		return
	}
	first, last := lines[0].First, lab.Newest // first is 0 over HTTP/2: the calls have all of their connection
	if lines[0].TLS && first > 0 {
		last = lines[len(lines)-1].Last // the end of the TLS connection may follow
	}
	var sum logged
	for _, l := range lines {
		sum.Bytes, sum.Packets = sum.Bytes+l.Bytes, sum.Packets+l.Packets
		sum.RespBytes, sum.RespPackets = sum.RespBytes+l.RespBytes, sum.RespPackets+l.RespPackets
		if l.Match == "exchange" {
			w.compareWith(flow, l, l.First, l.Last, l)
		}
	}
	if w.atOnce && lines[0].Match == "connection" {
		w.compareAtMost(flow, sum)
		return
	}
	w.compareWith(flow, lines[0], first, last, sum)
}

// compareAtMost compares the sum of a connection's calls with what the capture shows of all of it.
func (w *site) compareAtMost(flow *lab.Flow, sum logged) {
	w.t.Helper()
	wire, err := flow.Between(0, lab.Newest, 1<<62)
	if err != nil || sum.Bytes > int64(wire.RXBytes) || sum.Packets > int64(wire.RXPackets) || sum.RespBytes > int64(wire.TXBytes) ||
		sum.RespPackets > int64(wire.TXPackets) || sum.RespPackets == 0 {
		w.t.Errorf("%v: %d bytes in %d packets came, %d in %d went; the capture has %+v (%v)", flow.Key.Remote, sum.Bytes, sum.Packets, sum.RespBytes,
			sum.RespPackets, wire, err)
	}
}

// compareWith compares figures with those of some exchanges in the capture.
func (w *site) compareWith(flow *lab.Flow, call logged, first, last int, figures logged) {
	w.t.Helper()
	wire, err := flow.Between(first, last, 1<<62)
	if err != nil {
		w.t.Errorf("%v: %v: %v", call.peer(), call, err)
		return
	}
	want := logged{
		Bytes: int64(wire.RXBytes), Packets: int64(wire.RXPackets), RespBytes: int64(wire.TXBytes), RespPackets: int64(wire.TXPackets),
	}
	got := logged{Bytes: figures.Bytes, Packets: figures.Packets, RespBytes: figures.RespBytes, RespPackets: figures.RespPackets}
	if got != want {
		w.t.Errorf("%v, exchanges %d..%d: %d bytes in %d packets came, %d in %d went; the capture has %d in %d, and %d in %d", call.peer(),
			first, last, got.Bytes, got.Packets, got.RespBytes, got.RespPackets, want.Bytes, want.Packets, want.RespBytes, want.RespPackets)
	}
}

// resent returns the payload that a connection carried again each way, in bytes, by the capture.
func resent(flow *lab.Flow) (rx, tx uint64) {
	for _, x := range flow.Exchanges() {
		for _, s := range x.RX {
			if !s.New {
				rx += uint64(s.PayloadLen)
			}
		}
		for _, s := range x.TX {
			if !s.New {
				tx += uint64(s.PayloadLen)
			}
		}
	}
	return rx, tx
}

func flowOf(flows map[lab.FlowKey]*lab.Flow, remote netip.AddrPort) *lab.Flow {
	for key, flow := range flows {
		if key.Remote == remote {
			return flow
		}
	}
	return nil
}

// peer returns the client's end of the call's connection.
func (l logged) peer() netip.AddrPort {
	address, _ := netip.ParseAddr(l.Peer)
	return netip.AddrPortFrom(address, uint16(l.PeerPort))
}

// String returns how the call's figures were found, as describe does.
func (l logged) String() string {
	text := []string{l.Match}
	for _, p := range []struct {
		is   bool
		name string
	}{
		{l.Reason != "", "reason=" + l.Reason},
		{l.Partial, "partial"},
		{l.NoLength, "length=unknown"},
		{l.TLS, "tls"},
		{l.Handshake, "handshake"},
		{l.Missed > 0, fmt.Sprintf("missed=%d", l.Missed)},
		{l.Upgraded, "upgraded"},
		{l.Cut, "cut"},
	} {
		if p.is {
			text = append(text, p.name)
		}
	}
	return strings.Join(text, ";")
}

// url returns the URL of a path at one of the gateway's addresses.
func url(scheme, address, path string) string {
	port := stack.Port
	if scheme == "https" {
		port = stack.TLSPort
	}
	return scheme + "://" + net.JoinHostPort(address, fmt.Sprint(port)) + path
}

// compareHeaders compares the headers that an upstream got of a call with the call's line and with the capture.
func (w *site) compareHeaders(lines []logged, headers http.Header) {
	w.t.Helper()
	in, err := stack.ReadInsight(headers)
	if err != nil {
		w.t.Error(err)
		return
	}
	at := slices.IndexFunc(lines, func(l logged) bool { return l.Community == in.Flow && l.First == int(in.Number) })
	if at < 0 {
		w.t.Errorf("the log has no call like %+v", in)
		return
	}
	flow := flowOf(lab.Flows(w.capture.Packets(), nil), lines[at].peer())
	wire, err := flow.FirstRX(int(in.Number), int(in.Number), int(in.Packets))
	if err != nil || wire != uint64(in.Size) || in.Size == 0 || in.Size > lines[at].Bytes || !in.Partial && in.Size != lines[at].Bytes {
		w.t.Errorf("%v: the upstream got %+v, the capture has %d bytes (%v), the log %d", lines[at].peer(), in, wire, err, lines[at].Bytes)
	}
}

// wantNoSource wants nothing held against any address.
func (w *site) wantNoSource() {
	w.t.Helper()
	if lines := sourcesOf(w.ctx, w.t, w.s).list(); len(lines) != 0 {
		w.t.Errorf("flagged: %+v", lines)
	}
}

// pem returns the path of a file with a certificate and its key.
func (w *site) pem() string {
	w.t.Helper()
	dir := w.t.TempDir()
	key, cert, both := filepath.Join(dir, "key"), filepath.Join(dir, "cert"), filepath.Join(dir, "both.pem")
	w.run(w.s.Lab.Client, 0, nil, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-days", "1", "-subj", "/CN=gateway", "-keyout", key, "-out", cert)
	var text []byte
	for _, file := range []string{cert, key} {
		part, err := os.ReadFile(file)
		if err != nil {
			w.t.Fatal(err)
		}
		text = append(text, part...)
	}
	if err := os.WriteFile(both, text, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return both
}
