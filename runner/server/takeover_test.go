package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// startControlled serves the test plugins on a socket that can be taken over.
func startControlled(t *testing.T) (*Server, *Socket, *Control, *logLines) {
	t.Helper()
	return startWithLast(t, nobody())
}

func startWithLast(t *testing.T, last <-chan struct{}) (*Server, *Socket, *Control, *logLines) {
	t.Helper()
	log := new(logLines)
	s, err := New(Options{Plugins: testPlugins(), OnConfigError: ConfigErrorMark, Numbers: counter(), Log: zerolog.New(log)})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(socketDir(t), "s")
	socket, err := Listen(path, Access{0o600, -1})
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(socket.UnixListener)
	control, err := OpenControl(s, socket, last, zerolog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = control.Close()
		s.Close(t.Context())
	})
	return s, socket, control, log
}

// nobody is whom a process has nothing to tell.
func nobody() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// callers call over kept connections until they are stopped.
type callers struct {
	calls, failed atomic.Int64
	first         sync.Map // of the errors
	stop          chan struct{}
	all           sync.WaitGroup
}

func startCallers(t *testing.T, path string, n int) *callers {
	t.Helper()
	c := &callers{stop: make(chan struct{})}
	for i := range n {
		g := dial(t, path)
		token := g.prepare(fmt.Sprintf("route#r%d#ext-plugin-pre-req#1", i), "script", `[{"Do":"var","K":"a"}]`)
		c.all.Go(func() {
			for id := uint32(1); ; id++ {
				select {
				case <-c.stop:
					return
				default:
				}
				c.calls.Add(1)
				if r, err := g.try(kindHTTPReqCall, call{id: id, token: token}.encode()); err != nil || r.Kind != kindHTTPReqCall || r.ID != id {
					c.failed.Add(1)
					c.first.LoadOrStore("error", fmt.Sprintf("%v %+v", err, r))
					return
				}
			}
		})
	}
	return c
}

// more waits until every caller has called a few times more.
func (c *callers) more(t *testing.T) {
	t.Helper()
	until := c.calls.Load() + 200
	for deadline := time.Now().Add(patience); c.calls.Load() < until && c.failed.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("calls are not answered")
		}
	}
}

func (c *callers) end(t *testing.T) {
	t.Helper()
	close(c.stop)
	c.all.Wait()
	first, _ := c.first.Load("error")
	if c.failed.Load() != 0 {
		t.Errorf("%d of %d calls failed: %v", c.failed.Load(), c.calls.Load(), first)
	}
	t.Logf("%d of %d calls failed", c.failed.Load(), c.calls.Load())
}

// successor plays the new process by hand.
type successor struct {
	control
	files []*os.File
}

func dialControl(t *testing.T, socket *Socket) *successor {
	t.Helper()
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: socket.Path() + controlSuffix, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	s := &successor{control: control{conn}}
	t.Cleanup(s.die)
	return s
}

func (s *successor) die() {
	closeAll(s.files)
	s.files = nil
	_ = s.conn.Close()
}

// until takes all packets up to one of a type.
func (s *successor) until(t *testing.T, want packet) {
	t.Helper()
	for {
		p, text, file, err := s.receive(patience)
		if err != nil {
			t.Fatalf("%v: %v", want, err)
		}
		if file != nil {
			s.files = append(s.files, file)
		}
		if p == want {
			return
		}
		if p == packetRefusal {
			t.Fatalf("refused: %s", text)
		}
	}
}

// follow does a plan's steps.
func (s *successor) follow(t *testing.T, plan []packet) {
	t.Helper()
	for _, p := range plan {
		switch p {
		case packetHello:
			s.say(t, p, hello())
		case packetReady:
			s.say(t, p, nil)
		default:
			s.until(t, p)
		}
	}
}

func (s *successor) say(t *testing.T, p packet, text []byte) {
	t.Helper()
	if err := s.send(p, text, nil); err != nil {
		t.Fatal(err)
	}
}

// TestTakeOverThatFailsLeavesTheOldOneServing ends the new process at every step.
func TestTakeOverThatFailsLeavesTheOldOneServing(t *testing.T) {
	toEnd := []packet{packetHello, packetTokensEnd, packetReady, packetEnd}
	toGo := append(slices.Clone(toEnd), packetReady, packetGo)
	for _, step := range []struct {
		name string
		plan []packet // hello and ready are said, all others waited for
		last func(*successor)
	}{
		{"silent from the start", nil, nil},
		{"dead after hello", toEnd[:1], (*successor).die},
		{"dead after the tokens", toEnd[:2], (*successor).die},
		{"dead at the listener", append(toEnd[:3:3], packetListener), (*successor).die},
		{"dead amid the connections", append(toEnd[:3:3], packetConnection), (*successor).die},
		{"dead at the end", toEnd, (*successor).die},
		{"silent at the end", toEnd, nil},
		{"dead after ready", toGo[:5], (*successor).die},
		{"dead after go", toGo, (*successor).die},
		{"nonsense", toEnd, func(s *successor) { _ = s.send(packetGo, nil, nil) }},
	} {
		t.Run(step.name, func(t *testing.T) {
			t.Parallel()
			_, socket, control, log := startControlled(t)
			c := startCallers(t, socket.Path(), 8)
			c.more(t)
			idle := dial(t, socket.Path())
			token := idle.prepare("route#idle#ext-plugin-pre-req#1", "noop", "")
			next := dialControl(t, socket)
			next.follow(t, step.plan)
			if step.last != nil {
				step.last(next)
			}
			for deadline := time.Now().Add(patience); !strings.Contains(log.String(), "serving on"); time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the take-over does not end")
				}
			}
			c.more(t)
			if r := idle.call(call{id: 7, token: token}); r.ID != 7 {
				t.Errorf("kept connection: %+v", r)
			}
			if r := dial(t, socket.Path()).call(call{id: 8, token: token}); r.ID != 8 {
				t.Errorf("new connection: %+v", r)
			}
			c.end(t)
			select {
			case <-control.Taken():
				t.Error("it says that it was taken over")
			default:
			}
			takeOver(t, socket.Path()) // and the next one succeeds
			<-control.Taken()
		})
	}
}

// takeOver is a process that takes over, in this one.
func takeOver(t *testing.T, path string) *Server {
	t.Helper()
	s, err := New(Options{Plugins: testPlugins(), OnConfigError: ConfigErrorMark, Numbers: func() (uint32, error) {
		return 0, errors.New("no number is needed: all tokens are restored")
	}, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	_, before, err := TakeOver(t.Context(), s, path, Access{0o600, -1}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(t.Context()) })
	<-before.Rest
	return s
}

// TestTakeOverUnderALongCall: a call that takes its time is answered by the old one, holds nobody up, and its connection
// comes later.
func TestTakeOverUnderALongCall(t *testing.T) {
	last := make(chan struct{})
	_, socket, control, _ := startWithLast(t, last)
	slow, other := dial(t, socket.Path()), dial(t, socket.Path())
	token := slow.prepare("route#slow#ext-plugin-pre-req#1", "script", `[{"Do":"var","K":"a"}]`)
	other.prepare("route#other#ext-plugin-pre-req#1", "noop", "")
	if err := slow.send(kindHTTPReqCall, call{id: 1, token: token}.encode()); err != nil {
		t.Fatal(err)
	}
	k, question, err := slow.receive()
	if err != nil || k != kindExtraInfo {
		t.Fatal(k, err)
	}
	next, err := New(Options{Plugins: testPlugins(), OnConfigError: ConfigErrorMark, Numbers: counter(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	taken, before, err := TakeOver(t.Context(), next, socket.Path(), Access{0o600, -1}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { next.Close(t.Context()) })
	if got := other.prepare("route#other#ext-plugin-pre-req#1", "noop", ""); got == 0 { // answered by the new one
		t.Error("no token")
	}
	<-control.Given()
	select {
	case <-control.Taken():
		t.Fatal("the old one ends with a call under way")
	case <-before.Rest:
		t.Fatal("the new one has all")
	default:
	}
	if err := slow.send(kindExtraInfo, slow.answer(question)); err != nil {
		t.Fatal(err)
	}
	if r, err := slow.await(); err != nil || r.ID != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	<-control.Taken()
	<-before.Rest
	select {
	case <-before.Gone:
		t.Fatal("the old one has something to tell")
	default:
	}
	close(last)
	<-before.Gone
	if r := slow.call(call{id: 2, token: token}); r.ID != 2 {
		t.Errorf("%+v", r)
	}
	if next.Stats().Calls.Load() != 1 {
		t.Errorf("the new one answered %d calls", next.Stats().Calls.Load())
	}
	if taken.file != socket.file {
		t.Error("the new one would not remove the socket's file")
	}
}

// TestTakeOverRefusesAnotherVersion and whatever says no hello.
func TestTakeOverRefusesAnotherVersion(t *testing.T) {
	_, socket, _, _ := startControlled(t)
	for _, text := range [][]byte{[]byte(helloText + "\x00\x02"), []byte("GET /"), nil} {
		s := dialControl(t, socket)
		s.say(t, packetHello, text)
		if _, err := s.expect(packetHello, patience); !errors.Is(err, errRefused) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestTakeOverIsForOurUser connects as somebody else, in spite of the socket's mode.
func TestTakeOverIsForOurUser(t *testing.T) {
	if os.Geteuid() != 0 {
		skip(t, "only root can be somebody else")
	}
	_, socket, _, log := startControlled(t)
	path := socket.Path() + controlSuffix
	if err := errors.Join(os.Chmod(path, 0o666), os.Chmod(filepath.Dir(path), 0o755)); err != nil {
		t.Fatal(err)
	}
	type dialled struct {
		conn *net.UnixConn
		err  error
	}
	result := make(chan dialled)
	go func() {
		runtime.LockOSThread() // and never unlocked, so that the thread ends: it alone is another user's
		const nobody = 65534
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
			result <- dialled{nil, errno}
			return
		}
		conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
		result <- dialled{conn, err}
	}()
	d := <-result
	if d.err != nil {
		t.Fatal(d.err)
	}
	defer func() { _ = d.conn.Close() }()
	if _, err := (control{d.conn}).expect(packetHello, patience); !errors.Is(err, errRefused) {
		t.Errorf("%v\n%s", err, log)
	}
	dial(t, socket.Path()).route("[]")
}

func TestTakeOverFromNobody(t *testing.T) {
	path := filepath.Join(socketDir(t), "s")
	if _, _, err := TakeOver(t.Context(), nil, path, Access{0o600, -1}, zerolog.Nop()); !errors.Is(err, ErrNobody) {
		t.Error(err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, _, err := TakeOver(ctx, nil, path, Access{0o600, -1}, zerolog.Nop()); !errors.Is(err, ErrServed) {
		t.Errorf("of somebody who does not answer: %v", err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	if _, _, err := TakeOver(t.Context(), nil, path, Access{0o600, -1}, zerolog.Nop()); !errors.Is(err, ErrNobody) {
		t.Errorf("of a stale socket: %v", err)
	}
}

// TestControlSocketIsOurs: closed to others, and gone with its process; what is no socket stays.
func TestControlSocketIsOurs(t *testing.T) {
	s, socket, control, _ := startControlled(t)
	path := socket.Path() + controlSuffix
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != controlMode {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if taken, err := control.Close(); taken || err != nil {
		t.Error(taken, err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenControl(s, socket, nobody(), zerolog.Nop()); err == nil {
		t.Error("a file is replaced")
	}
}

// TestClosedServerAnswersWhatCame: frames that lie in idle connections and in the queue of those to accept are answered, and
// none that is not is forgotten in the count.
func TestClosedServerAnswersWhatCame(t *testing.T) {
	s := startServer(t, nil)
	c := startCallers(t, s.path, 4)
	c.more(t)
	waiting := dial(t, s.path)
	if err := waiting.send(kindPrepareConf, encodePrepare("route#r#ext-plugin-pre-req#1", "noop", "")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if lost := s.Close(ctx); lost != 0 {
		t.Errorf("%d calls lost", lost)
	}
	if r, err := waiting.await(); err != nil || r.Kind != kindPrepareConf {
		t.Errorf("%+v, %v", r, err)
	}
	close(c.stop)
	c.all.Wait()
}

// TestHandOverAndResume as often as it likes.
func TestHandOverAndResume(t *testing.T) {
	s := startServer(t, nil)
	c := startCallers(t, s.path, 8)
	for range 50 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Microsecond)
		_ = s.HandOver(ctx, func(*net.UnixConn) {})
		cancel()
		s.Resume()
	}
	c.more(t)
	dial(t, s.path).route("[]")
	c.end(t)
}

func TestTokensKeepTheirEncoding(t *testing.T) {
	tokens := []Token{
		{Number: 1, Key: []byte("route#1#ext-plugin-pre-req#1"), Conf: [][2][]byte{{[]byte("a"), []byte("{}")}, {[]byte("b"), {}}}},
		{Number: 1<<32 - 1, Key: []byte{}},
	}
	text, left := encodeTokens(tokens)
	if left != 0 {
		t.Error(left)
	}
	got, err := decodeTokens(text)
	if err != nil || !cmp.Equal(got, tokens) {
		t.Errorf("%v\n%s", err, cmp.Diff(tokens, got))
	}
	for n := range len(text) {
		if got, err := decodeTokens(text[:n]); err == nil && len(got) == len(tokens) {
			t.Errorf("the first %d bytes are %v", n, got)
		}
	}
	big := Token{Number: 2, Key: make([]byte, maxTokenBytes/2)}
	if text, left := encodeTokens([]Token{tokens[0], big, big}); left != 2 || len(text) > maxTokenBytes {
		t.Errorf("%d left out, %d bytes", left, len(text))
	}
}

func FuzzDecodeTokens(f *testing.F) {
	text, _ := encodeTokens([]Token{{Number: 7, Key: []byte("k"), Conf: [][2][]byte{{[]byte("n"), []byte("v")}}}})
	f.Add(text)
	f.Add(text[:len(text)-3])
	f.Fuzz(func(t *testing.T, text []byte) {
		tokens, err := decodeTokens(text)
		if err != nil {
			if tokens != nil {
				t.Error("tokens beside an error")
			}
			return
		}
		if again, left := encodeTokens(tokens); left != 0 || !slices.Equal(again, text) {
			t.Errorf("%q became %q", text, again)
		}
	})
}
