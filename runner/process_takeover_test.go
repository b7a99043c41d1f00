package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/examples/gateway"
)

const (
	// patience bounds whatever a test waits for.
	patience = 30 * time.Second
	// programEnv makes the test binary the program itself.
	programEnv = "FIVETUPLE_TEST_PROGRAM"
)

func TestMain(m *testing.M) {
	if os.Getenv(programEnv) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// bench is a folder for a socket, with settings for whoever serves it.
type bench struct {
	t    *testing.T
	dir  string
	path string // of the socket
}

func newBench(t *testing.T, drain time.Duration) *bench {
	t.Helper()
	dir, err := os.MkdirTemp("", "run") //nolint:usetesting // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	b := &bench{t: t, dir: dir, path: filepath.Join(dir, "s")}
	settings := fmt.Appendf(nil, "agent: {pins: {path: %s/bpf}}\nrunner: {socket: %s, drain: %v, switches: %s/switches.yaml}\n"+
		"calls: {file: %s/calls.jsonl}\nbaseline: {file: %s/baseline}\nmetrics: {listen: \"\"}\n", dir, b.path, drain, dir, dir, dir)
	if err := os.WriteFile(filepath.Join(dir, "fivetuple.yaml"), settings, 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

// program is a running `fivetuple run`.
type program struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of its end

	mu   sync.Mutex
	log  bytes.Buffer
	more chan struct{} // closed with the next line
}

// command is `fivetuple run` with the bench's settings.
func (b *bench) command(args ...string) *exec.Cmd {
	b.t.Helper()
	self, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command(self, append([]string{"run", "--config", filepath.Join(b.dir, "fivetuple.yaml")}, args...)...)
	cmd.Env = append(os.Environ(), programEnv+"=1", "GORACE=atexit_sleep_ms=1") // the race detector's default is a second
	return cmd
}

// start starts a process.
func (b *bench) start(args ...string) *program { b.t.Helper(); return b.run(b.command(args...)) }

func (b *bench) run(cmd *exec.Cmd) *program { b.t.Helper(); return b.runIn((*exec.Cmd).Start, cmd) }

// runIn starts a process by a function that chooses where it runs.
func (b *bench) runIn(start func(*exec.Cmd) error, cmd *exec.Cmd) *program {
	b.t.Helper()
	p := &program{t: b.t, cmd: cmd, done: make(chan struct{}), more: make(chan struct{})}
	cmd.Stderr = p
	if err := start(cmd); err != nil {
		b.t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
	}()
	b.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.done
		if b.t.Failed() {
			b.t.Logf("log of process %d:\n%s", cmd.Process.Pid, p.text())
		}
	})
	return p
}

// Write takes the log.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.more)
	p.more = make(chan struct{})
	return p.log.Write(b)
}

func (p *program) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// says waits for a message in the log, and returns its line.
func (p *program) says(message string) map[string]any {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		p.mu.Lock()
		text, more := p.log.String(), p.more
		p.mu.Unlock()
		for line := range strings.Lines(text) {
			var fields map[string]any
			if json.Unmarshal([]byte(line), &fields) == nil && fields["message"] == message {
				return fields
			}
		}
		select {
		case <-more:
		case <-p.done:
			if p.text() == text {
				p.t.Fatalf("it ended (%v) and did not say %q:\n%s", p.err, message, text)
			}
		case <-timeout:
			p.t.Fatalf("it does not say %q:\n%s", message, text)
		}
	}
}

func (p *program) ready() *program {
	p.t.Helper()
	p.says("runner is ready")
	return p
}

// ends waits for the process's end.
func (p *program) ends() error {
	p.t.Helper()
	select {
	case <-p.done:
		return p.err
	case <-time.After(patience):
		p.t.Fatalf("it does not end:\n%s", p.text())
		return nil
	}
}

func (p *program) terminate() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
}

// load is calls through the stand-in for APISIX, from several clients at once, until it ends. The upstream looks whether
// the plugin ran.
type load struct {
	t      *testing.T
	client *http.Client
	url    string

	calls, failed atomic.Int64
	log           syncBuffer // of the stand-in
	stop          chan struct{}
	once          sync.Once
	all           sync.WaitGroup
}

// syncBuffer is written by many.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (b *bench) load(clients int) *load {
	b.t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("X-Packet-Match"), "none;reason=") {
			w.WriteHeader(http.StatusTeapot) // no plugin ran
		}
	}))
	b.t.Cleanup(upstream.Close)
	l := &load{t: b.t, stop: make(chan struct{}), client: &http.Client{
		Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: clients},
	}}
	var routes bytes.Buffer
	routes.WriteString("routes:\n")
	for i := range 4 {
		fmt.Fprintf(&routes, "  - {id: r%d, uri: /%d/*, plugins: {ext-plugin-pre-req: {conf: [{name: packet-insight, value: '{}'}]}}, "+
			"upstream: {type: roundrobin, nodes: {%q: 1}}}\n", i, i, upstream.Listener.Addr())
	}
	routes.WriteString("#END\n")
	g, err := gateway.New(gateway.Options{
		APISIX: routes.Bytes(), Config: fmt.Appendf(nil, "ext-plugin: {path_for_test: %s}\n", b.path), Workers: 2, Log: zerolog.New(&l.log),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- g.Serve(listener) }()
	l.url = "http://" + listener.Addr().String()
	for i := range clients {
		l.all.Go(func() { l.call(i) })
	}
	b.t.Cleanup(func() {
		l.end()
		if err := errors.Join(g.Close(), <-served); err != nil {
			b.t.Error(err)
		}
	})
	return l
}

func (l *load) call(i int) {
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		l.one(i)
	}
}

func (l *load) one(i int) {
	response, err := l.client.Get(fmt.Sprintf("%s/%d/x", l.url, i%4))
	if err == nil {
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	if err != nil || response.StatusCode != http.StatusOK {
		l.failed.Add(1)
	}
	l.calls.Add(1)
}

// more waits for so many calls more.
func (l *load) more(n int64) {
	l.t.Helper()
	until := l.calls.Load() + n
	for deadline := time.Now().Add(patience); l.calls.Load() < until; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Fatal("no calls are answered")
		}
	}
}

// end ends the calls and returns how many there were and how many failed.
func (l *load) end() (calls, failed int64) {
	l.once.Do(func() { close(l.stop) })
	l.all.Wait()
	return l.calls.Load(), l.failed.Load()
}

// wantNoneFailed ends the calls.
func (l *load) wantNoneFailed() {
	l.t.Helper()
	calls, failed := l.end()
	l.t.Logf("%d of %d calls failed", failed, calls)
	if failed != 0 {
		l.t.Errorf("%d of %d calls failed:\n%s", failed, calls, l.log.String())
	}
	if strings.Contains(l.log.String(), "token not found") {
		l.t.Error("tokens were lost")
	}
}

// TestTakeOverFailsNoCall: one process after the other takes over while many call.
func TestTakeOverFailsNoCall(t *testing.T) {
	b := newBench(t, time.Second)
	p := b.start("--take-over").ready() // from nobody
	l := b.load(16)
	for range 6 {
		l.more(200)
		next := b.start("--take-over").ready()
		if err := p.ends(); err != nil {
			t.Errorf("the old one ended with %v", err)
		}
		gave, took := p.says("another process has taken over"), next.says("took over from a running process")
		if gave["connections"] != took["connections"] || took["connections"] == 0.0 || took["tokens"] != 4.0 {
			t.Errorf("given: %v, taken: %v", gave, took)
		}
		t.Logf("%v connections, pause of %v ms", gave["connections"], gave["pause_ms"])
		p = next
	}
	l.more(200)
	l.wantNoneFailed()
	p.terminate()
	if err := p.ends(); err != nil {
		t.Error(err)
	}
	if entries, err := filepath.Glob(b.path + "*"); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// TestTakeOverByProcessesThatAreKilled: whenever the new one dies before it serves, the old one goes on.
func TestTakeOverByProcessesThatAreKilled(t *testing.T) {
	b := newBench(t, time.Second)
	p := b.start().ready()
	l := b.load(16)
	l.more(200)
	failed := 0
	for i := range 12 {
		next := b.start("--take-over")
		time.Sleep(time.Duration(i) * 8 * time.Millisecond) // somewhere in its start
		_ = next.cmd.Process.Signal(syscall.SIGSTOP)
		if strings.Contains(next.text(), "took over") {
			_ = next.cmd.Process.Signal(syscall.SIGCONT)
			if err := p.ends(); err != nil {
				t.Error(err)
			}
			p = next.ready()
			continue
		}
		select {
		case <-p.done: // it has all, and has not come to say so
			_ = next.cmd.Process.Signal(syscall.SIGCONT)
			p = next.ready()
		case <-time.After(time.Second):
			_ = next.cmd.Process.Kill()
			_ = next.ends()
			failed++
		}
		l.more(50)
	}
	t.Logf("%d take-overs failed", failed)
	l.wantNoneFailed()
}

// TestTakeOverWhileDraining: a successor that comes after SIGTERM still finds everything.
func TestTakeOverWhileDraining(t *testing.T) {
	b := newBench(t, patience)
	p := b.start().ready()
	l := b.load(8)
	l.more(100)
	p.terminate()
	b.start("--take-over").ready()
	if err := p.ends(); err != nil {
		t.Error(err)
	}
	l.more(100)
	l.wantNoneFailed()
}

// TestSecondRunnerRefuses: one that serves is left in peace; what is no socket, too; what nobody serves is replaced.
func TestSecondRunnerRefuses(t *testing.T) {
	b := newBench(t, 0)
	p := b.start().ready()
	l := b.load(4)
	l.more(20)
	second := b.start()
	if err := second.ends(); err == nil || !strings.Contains(second.text(), "another runner serves this socket") {
		t.Errorf("%v, %s", err, second.text())
	}
	l.more(20)
	l.wantNoneFailed()
	_ = p.cmd.Process.Kill()
	_ = p.ends()
	if _, err := os.Stat(b.path); err != nil {
		t.Fatalf("no stale socket to replace: %v", err)
	}
	b.start().ready()
}

func TestRunnerReplacesNoFile(t *testing.T) {
	b := newBench(t, 0)
	if err := os.WriteFile(b.path, []byte("important"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{nil, {"--take-over"}} {
		p := b.start(args...)
		if err := p.ends(); err == nil || !strings.Contains(p.text(), "is no socket") {
			t.Errorf("%v: %v, %s", args, err, p.text())
		}
	}
	if text, err := os.ReadFile(b.path); string(text) != "important" {
		t.Errorf("%q, %v", text, err)
	}
}
