package server

import (
	"bytes"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/api7/ext-plugin-proto/go/A6"
	apierr "github.com/api7/ext-plugin-proto/go/A6/Err"
	hreq "github.com/api7/ext-plugin-proto/go/A6/HTTPReqCall"
	pc "github.com/api7/ext-plugin-proto/go/A6/PrepareConf"
	flatbuffers "github.com/google/flatbuffers/go"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// pipe is a connected pair of unix sockets.
func pipe(t testing.TB) (*net.UnixConn, *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		ends[i] = c.(*net.UnixConn)
	}
	return ends[0], ends[1]
}

// adopted returns a gateway at a server without a socket.
func adopted(t testing.TB, s *Server) *gateway {
	t.Helper()
	ours, theirs := pipe(t)
	s.Adopt(theirs)
	return newGateway(t, ours)
}

// everything touches whatever a call has.
const everything = `[{"Do":"echo"},{"Do":"peek","K":"host"},{"Do":"view-count","K":"X-N"},{"Do":"args"},{"Do":"arg-add","K":"a","V":"1"},
	{"Do":"del","K":"x-b"},{"Do":"resp-add","K":"X-C","V":"1"},{"Do":"rpeek","K":"a"},{"Do":"rset","K":"X-A","V":"1"},{"Do":"recho"}]`

// fuzzServer has a route of everything, at token 1.
func fuzzServer(t testing.TB) *Server {
	t.Helper()
	s, err := New(Options{Plugins: testPlugins(), OnConfigError: ConfigErrorMark, Numbers: counter(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	if token, err := s.prepare(prepared{key: []byte(routeKey), conf: []entry{{[]byte("script"), []byte(everything)}}}, own()); err != nil || token != 1 {
		t.Fatal(token, err)
	}
	return s
}

// fuzzMemory is what frames may take, times their length and beyond it.
const fuzzMemory, fuzzMemoryTimes = 8 << 20, 200

// checkServes checks that a server that was sent something bad serves the next connection.
func checkServes(t *testing.T, s *Server) {
	t.Helper()
	g := adopted(t, s)
	if r := g.call(call{id: 9, token: 1, path: "/"}); r.Kind != kindHTTPReqCall || r.ID != 9 {
		t.Fatalf("the next connection: %+v", r)
	}
	_ = g.conn.Close()
}

func seeds(f testing.TB) [][]byte {
	f.Helper()
	all := [][]byte{
		frame(kindPrepareConf, encodePrepare(routeKey, "script", everything)),
		frame(kindHTTPReqCall, call{id: 1, token: 1, path: "/", ip: []byte{1, 2, 3, 4}, args: [][2]string{{"a", "1"}}, headers: [][2]string{{"host", "h"}}}.encode()),
		frame(kindHTTPRespCall, respCall{id: 1, token: 1, status: 200, headers: [][2]string{{"a", "b"}}}.encode()),
		{2, 0xff, 0xff, 0xff},
		{0, 0, 0, 0},
		{4, 0, 0, 1, 0},
		{},
	}
	if os.Getenv("FIVETUPLE_SHARED") == "" {
		if _, err := os.Stat("../../../shared/wire"); err != nil {
			return all
		}
	}
	for _, name := range recordings(f) {
		for _, e := range readRecording(f, name) {
			if e.Dir == "a2r" && e.payload != nil && len(e.payload) < 1000 {
				all = append(all, frame(kind(e.Type), e.payload))
			}
		}
	}
	return all
}

// FuzzFrame: whatever bytes come, the server neither panics nor takes memory without bound, the connection ends, and the
// next one is served. What is answered can be read.
func FuzzFrame(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed)
	}
	s := fuzzServer(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		before := allocated()
		ours, theirs := pipe(t)
		s.Adopt(theirs)
		_ = ours.SetDeadline(time.Now().Add(patience))
		go func() { _, _ = ours.Write(in); _ = ours.CloseWrite() }()
		for {
			k, payload, err := readFrame(ours, nil)
			if err != nil {
				if os.IsTimeout(err) {
					t.Fatal("a stuck connection")
				}
				break
			}
			if _, err := decodeReply(k, payload); err != nil && k != kindExtraInfo {
				t.Fatal(err)
			}
		}
		_ = ours.Close()
		checkMemory(t, before, len(in))
		checkServes(t, s)
	})
}

// FuzzHTTPReqCall: a payload is answered as its id says, or refused; nothing in between. It takes no more memory than its length allows.
func FuzzHTTPReqCall(f *testing.F) {
	addSeeds(f, kindHTTPReqCall)
	s := fuzzServer(f)
	f.Fuzz(func(t *testing.T, payload []byte) { checkHTTPReqCall(t, s, payload) })
}

// FuzzPrepareConf: a payload gets a token, and another one for the same gets the same; or it is refused. It takes no more memory than its
// length allows, and what is kept is bounded.
func FuzzPrepareConf(f *testing.F) {
	addSeeds(f, kindPrepareConf)
	s := fuzzServer(f)
	f.Fuzz(func(t *testing.T, payload []byte) { checkPrepareConf(t, s, payload) })
}

func addSeeds(f *testing.F, of kind) {
	f.Helper()
	for _, seed := range seeds(f) {
		if len(seed) > frameHeader && kind(seed[0]) == of {
			f.Add(seed[frameHeader:])
		}
	}
	f.Add(overlapping(of, 2*maxEntries, 8))
}

func checkHTTPReqCall(t *testing.T, s *Server, payload []byte) {
	t.Helper()
	if len(payload) > 1<<20 {
		return
	}
	id, isCall := claim(payload)
	before := allocated()
	g := adopted(t, s)
	r, err := g.try(kindHTTPReqCall, payload)
	_ = g.conn.Close()
	checkMemory(t, before, len(payload))
	switch {
	case err != nil:
		t.Fatal(err)
	case r.Kind == kindError && r.Code != apierr.CodeBAD_REQUEST && r.Code != apierr.CodeCONF_TOKEN_NOT_FOUND:
		t.Fatalf("%+v", r)
	case r.Kind == kindHTTPReqCall && (!isCall || r.ID != id || r.Action != "rewrite"):
		t.Fatalf("id %d, a call: %t: %+v", id, isCall, r)
	}
}

func checkPrepareConf(t *testing.T, s *Server, payload []byte) {
	t.Helper()
	if len(payload) > 1<<20 {
		return
	}
	before := allocated()
	g := adopted(t, s)
	r, err := g.try(kindPrepareConf, payload)
	if err == nil && r.Kind == kindPrepareConf {
		var again reply
		if again, err = g.try(kindPrepareConf, payload); again.Token != r.Token || r.Token == 0 {
			t.Fatalf("%+v, then %+v", r, again)
		}
	}
	_ = g.conn.Close()
	checkMemory(t, before, len(payload))
	if err != nil || r.Kind != kindPrepareConf && (r.Kind != kindError || r.Code != apierr.CodeBAD_REQUEST) {
		t.Fatalf("%+v, %v", r, err)
	}
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	if n := len(s.tokens.byToken); n > maxTokens || s.tokens.bytes > maxConfBytes || n != len(s.tokens.byConf) {
		t.Fatalf("%d tokens of %d configurations, %d bytes", n, len(s.tokens.byConf), s.tokens.bytes)
	}
}

// checkMemory checks what was allocated for a payload.
func checkMemory(t *testing.T, before uint64, length int) {
	t.Helper()
	if took := allocated() - before; took > uint64(fuzzMemory+fuzzMemoryTimes*length) {
		t.Fatalf("%d bytes took %d", length, took)
	}
}

// TestMutatedFrames is a short form of the fuzz targets.
func TestMutatedFrames(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for k, check := range map[kind]func(*testing.T, *Server, []byte){kindHTTPReqCall: checkHTTPReqCall, kindPrepareConf: checkPrepareConf} {
		s := fuzzServer(t)
		var all [][]byte
		for _, seed := range seeds(t) {
			if len(seed) > frameHeader && kind(seed[0]) == k {
				all = append(all, seed[frameHeader:])
			}
		}
		for range 3000 {
			payload := bytes.Clone(all[random.IntN(len(all))])
			for range 1 + random.IntN(6) {
				payload[random.IntN(len(payload))] = [...]byte{0, 1, 4, 8, 0x7f, 0x80, 0xff, byte(random.Uint32())}[random.IntN(8)]
			}
			check(t, s, payload[:len(payload)-random.IntN(2)*random.IntN(len(payload))])
		}
		checkServes(t, s)
	}
}

// claim makes a payload the call of token 1, if it has a token, and returns its id.
func claim(payload []byte) (id uint32, ok bool) {
	defer func() { _ = recover() }()
	req := hreq.GetRootAsReq(payload, 0)
	req.MutateConfToken(1)
	return req.Id(), true
}

// FuzzDecode: an error and nothing, or all that can be read of it without a panic.
func FuzzDecode(f *testing.F) {
	for _, seed := range seeds(f) {
		if len(seed) > frameHeader {
			f.Add(seed[frameHeader:])
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if p, err := decodePrepareConf(payload); err == nil {
			hashConf(p, 0)
		}
		_, _ = decodeAnswer(payload)
		q, p := new(request), new(response)
		if q.decode(payload) == nil {
			_, _, _, _ = q.Header().View(), q.Args(), q.SrcIP(), q.Method()
		}
		if p.decode(payload) == nil {
			_ = p.Header().View()
		}
	})
}

// overlapping returns a payload whose list has one long entry very often.
func overlapping(k kind, times, length int) []byte {
	b := flatbuffers.NewBuilder(length + 4*times + 1024)
	name, value := b.CreateString("noop"), b.CreateByteVector([]byte(strings.Repeat("v", length)))
	A6.TextEntryStart(b)
	A6.TextEntryAddName(b, name)
	A6.TextEntryAddValue(b, value)
	e := A6.TextEntryEnd(b)
	start := hreq.ReqStartHeadersVector
	if k == kindPrepareConf {
		start = pc.ReqStartConfVector
	}
	start(b, times)
	for range times {
		b.PrependUOffsetT(e)
	}
	list := b.EndVector(times)
	if k == kindPrepareConf {
		pc.ReqStart(b)
		pc.ReqAddConf(b, list)
		b.Finish(pc.ReqEnd(b))
		return b.FinishedBytes()
	}
	hreq.ReqStart(b)
	hreq.ReqAddConfToken(b, 1)
	hreq.ReqAddHeaders(b, list)
	b.Finish(hreq.ReqEnd(b))
	return b.FinishedBytes()
}

// TestOverlappingEntries: a small frame must not make the server, or a plugin, copy one text over and over.
func TestOverlappingEntries(t *testing.T) {
	s := fuzzServer(t)
	for _, k := range []kind{kindPrepareConf, kindHTTPReqCall} {
		payload := overlapping(k, 1000, 1<<20)
		before := allocated()
		r := adopted(t, s).exchange(k, payload)
		if took := allocated() - before; r.Kind != kindError || r.Code != apierr.CodeBAD_REQUEST || took > 64<<20 {
			t.Errorf("%v: %+v, took %d bytes", k, r, took)
		}
		checkServes(t, s)
	}
}

// TestALengthAloneTakesNoMemory.
func TestALengthAloneTakesNoMemory(t *testing.T) {
	before := allocated()
	for range 50 {
		k, payload, err := readFrame(strings.NewReader("\x02\xff\xff\xff1234"), nil)
		if err == nil || k != 0 || len(payload) > 4 {
			t.Fatal(k, len(payload), err)
		}
	}
	if took := (allocated() - before) / 50; took > 4*firstBuffer {
		t.Errorf("%d bytes each", took)
	}
}

func TestFrameIsReadWholeWhateverTheReads(t *testing.T) {
	payload := strings.Repeat("payload", 100_000)
	in := &oneByteReader{strings.NewReader(string(frame(kindExtraInfo, []byte(payload))))}
	k, got, err := readFrame(in, nil)
	if err != nil || k != kindExtraInfo || string(got) != payload {
		t.Errorf("%v, %d bytes, %v", k, len(got), err)
	}
	if _, _, err := readFrame(in, got); err != io.EOF { //nolint:errorlint // a clean end is io.EOF itself
		t.Errorf("at the end: %v", err)
	}
}

type oneByteReader struct{ r io.Reader }

func (o *oneByteReader) Read(b []byte) (int, error) { return o.r.Read(b[:min(1, len(b))]) }

func TestHeaderTellsNoMoreThan24Bits(t *testing.T) {
	var header [frameHeader]byte
	for _, n := range []int{0, 1, MaxFrame} {
		if err := putHeader(header[:], kindError, n); err != nil {
			t.Error(err)
		}
	}
	for _, n := range []int{MaxFrame + 1, math.MaxUint32, math.MaxUint32 + 1} {
		if err := putHeader(header[:], kindError, n); err == nil {
			t.Errorf("%d bytes", n)
		}
	}
}
