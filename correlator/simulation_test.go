package correlator_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"fivetuple/correlator"
	"fivetuple/correlator/flow"
)

// A simulation is a client and a gateway on one connection of cleartext HTTP/1, driven by choices; it knows which call
// every byte belongs to, and holds what Match says against that.
type simulation struct {
	t       *testing.T
	choices choices
	kind    traffic
	m       *model
	cor     *correlator.Correlator
	tuple   correlator.Tuple

	calls    []simulatedCall
	segments []simulatedSegment
	sent     uint64 // bytes of the client's stream that have arrived
	current  int    // the call that the gateway works on
	lengths  uint64 // stream length of all calls so far
	misled   bool   // a coincidence of lengths: what is believed of this connection is wrong from here
	tally    *tally
}

// traffic says what happens on a connection; the zero value is keep-alive calls and uploads one after the other.
type traffic struct {
	pipelined, chunked, missed, early, emptyLines, continues, alike bool
	unseen                                                          uint64 // bytes before the program was loaded
	proxy                                                           int    // bytes of a PROXY header
}

type simulatedCall struct {
	line, start, headEnd, end             uint64 // offsets in the client's stream; line: of an empty line before it, else start
	chunked, missed, early, continues     bool
	asked, continued, responded, released bool
}

type simulatedSegment struct {
	start, end, time uint64
	seen             bool
}

// tally counts what the matches said.
type tally struct {
	asked, exchanges, lucky int
}

// choices are what a run is driven by.
type choices struct{ data []byte }

func (c *choices) more() bool { return len(c.data) > 1 }

// below returns a number in 0..n-1; 0 when there are no choices left.
func (c *choices) below(n uint64) uint64 {
	if !c.more() {
		return 0
	}
	v := uint64(binary.LittleEndian.Uint16(c.data))
	c.data = c.data[2:]
	return v % n
}

func (c *choices) oneIn(n uint64) bool { return c.below(n) == n-1 }

func newSimulation(t *testing.T, data []byte, kind func(*choices) traffic, tally *tally) *simulation {
	t.Helper()
	s := &simulation{t: t, choices: choices{data}, tally: tally}
	s.kind = kind(&s.choices)
	isn := uint32(s.choices.below(1<<16)) << 16
	s.m = newModel(isn)
	if s.kind.unseen > 0 {
		s.m = newMidstream(isn + 1)
	}
	if s.kind.proxy > 0 {
		s.m.first = "PROXY TCP4 192.0.2.9 192.0.2.1 4711 80\r\n"
		s.lengths = uint64(s.kind.proxy)
	}
	table := newModelTable()
	s.tuple.Peer, s.tuple.Gateway = modelTuple(1)
	table.models[s.tuple.Key()] = s.m
	s.cor = newCorrelator(t, table)
	s.plan()
	return s
}

// anyTraffic chooses what happens on a connection.
func anyTraffic(c *choices) traffic {
	k := traffic{
		pipelined: c.oneIn(2), chunked: c.oneIn(2), missed: c.oneIn(2),
		early: c.oneIn(3), emptyLines: c.oneIn(4), continues: c.oneIn(3), alike: c.oneIn(4),
	}
	if c.oneIn(8) {
		k.unseen = 1 + c.below(3000)
	} else if c.oneIn(8) {
		k.proxy = 28 + int(c.below(80))
	}
	return k
}

// inTurn is any traffic of a client that waits for each response.
func inTurn(c *choices) traffic {
	k := anyTraffic(c)
	k.pipelined = false
	return k
}

// countedTraffic may be pipelined, but the length of every call is known from the connection's first byte on.
func countedTraffic(c *choices) traffic {
	k := anyTraffic(c)
	return traffic{pipelined: true, early: k.early, continues: k.continues, alike: k.alike}
}

// plainTraffic is keep-alive calls and uploads.
func plainTraffic(*choices) traffic { return traffic{} }

// plan adds a call to the client's stream.
func (s *simulation) plan() {
	c := simulatedCall{line: s.lengths, start: s.lengths}
	if s.kind.emptyLines && len(s.calls) > 0 && s.choices.oneIn(4) {
		c.start += 2
	}
	c.headEnd = c.start + s.length(40, 900)
	c.end = c.headEnd
	if s.choices.oneIn(2) {
		c.end += s.length(1, 5000)
		c.chunked = s.kind.chunked && s.choices.oneIn(3)
		c.early = s.kind.early && s.choices.oneIn(2)
		c.continues = s.kind.continues && s.choices.oneIn(2)
	}
	c.missed = s.kind.missed && s.choices.oneIn(3)
	c.released = len(s.calls) == 0
	s.calls = append(s.calls, c)
	s.lengths = c.end
}

// length returns one of a number of lengths; on some connections always the same.
func (s *simulation) length(from, number uint64) uint64 {
	if s.kind.alike {
		return from + number/3
	}
	return from + s.choices.below(number)
}

// run plays until the choices are used up.
func (s *simulation) run() {
	for s.choices.more() && !s.misled && !s.t.Failed() {
		if last := &s.calls[len(s.calls)-1]; last.released {
			s.plan()
		}
		if s.choices.oneIn(2) {
			s.clientStep()
		} else {
			s.gatewayStep()
		}
	}
}

// clientStep lets a segment arrive, if the client has something to send.
func (s *simulation) clientStep() {
	next := &s.calls[len(s.calls)-1]
	if !next.released && (s.current == len(s.calls)-1 || s.kind.pipelined && s.choices.oneIn(3)) {
		next.released = true
	}
	ready := s.ready()
	if s.sent == ready {
		s.resend()
		return
	}
	n := ready - s.sent
	if s.choices.oneIn(2) {
		n = min(n, 1+s.choices.below(1448))
		if s.sent == 0 {
			n = max(n, min(16, ready)) // less does not show what the connection carries
		}
	}
	s.arrive(n)
}

// ready returns how much of the stream the client would send.
func (s *simulation) ready() uint64 {
	ready := s.sent
	for _, c := range s.calls {
		if !c.released {
			break
		}
		if c.continues && !c.continued && !c.responded {
			return max(ready, c.headEnd)
		}
		ready = max(ready, c.end)
	}
	return ready
}

func (s *simulation) arrive(n uint64) {
	seen := s.sent+n > s.kind.unseen
	if seen {
		s.m.rx(int(n))
	} else {
		s.m.lose(int(n))
	}
	s.segments = append(s.segments, simulatedSegment{s.sent, s.sent + n, s.m.now, seen})
	s.sent += n
}

// resend lets the last segment arrive twice, if it is the current call's alone.
func (s *simulation) resend() {
	if len(s.segments) == 0 || !s.choices.oneIn(4) {
		return
	}
	last, c := s.segments[len(s.segments)-1], s.calls[s.current]
	if !last.seen || last.start < c.start || last.end > c.end {
		return
	}
	s.m.segment(flow.RX, s.m.next[flow.RX]-uint32(last.end-last.start), int(last.end-last.start))
	last.time = s.m.now
	s.segments = append(s.segments, last)
}

// gatewayStep runs the plugin for the current call, or sends.
func (s *simulation) gatewayStep() {
	c := &s.calls[s.current]
	switch {
	case s.sent < c.headEnd:
	case !c.asked || s.choices.oneIn(4):
		c.asked = true
		if !c.missed {
			s.ask()
		}
	case c.continues && !c.continued && !c.responded && s.choices.oneIn(2):
		c.continued = true
		s.m.tx(25)
	case s.sent >= c.end || c.early:
		s.m.tx(1 + int(s.choices.below(1448)))
		c.responded = true
		if s.sent >= c.end && s.choices.oneIn(2) && s.current+1 < len(s.calls) {
			s.current++
		}
	}
}

// ask runs the plugin for the current call, and holds the answer against the truth.
func (s *simulation) ask() {
	c := s.calls[s.current]
	call := correlator.Call{Tuple: s.tuple, Chunked: c.chunked}
	call.Connection, call.Requests, call.RequestLength = 1, uint64(s.current)+1, c.headEnd-c.start
	if !c.chunked {
		call.ContentLength = c.end - c.headEnd
	}
	s.m.now += modelStep
	res := s.cor.Match(s.m.now, call)
	s.tally.asked++
	if res.Match != correlator.MatchExchange || res.LengthUnknown {
		if s.kind == (traffic{}) {
			s.t.Errorf("a plain call: %s\n%s", describe(res), s.story())
		}
		return
	}
	s.tally.exchanges++
	problem := s.check(res, c.start)
	if problem != "" && c.line < c.start && s.check(res, c.line) == "" {
		problem = "" // an empty line is nobody's, and may count as the call's that comes next
	}
	if problem != "" && !s.isLuck(res, call) {
		s.t.Errorf("%s: %s\n%s", describe(res), problem, s.story())
	}
}

// check returns what is wrong with an exchange: its figures have to be those of the current call's segments, and the
// call's first byte is that at start.
func (s *simulation) check(res correlator.Result, start uint64) string {
	c := s.calls[s.current]
	var want correlator.Size
	var begin, end uint64
	for _, g := range s.segments {
		if g.end <= start || g.start >= c.end {
			continue
		}
		if g.start < start || g.end > c.end || !g.seen {
			return fmt.Sprintf("segment %d..%d is not this call's alone, or was not seen", g.start, g.end)
		}
		n := g.end - g.start
		want.Packets++
		want.Payload += n
		want.Bytes += n + modelHeaders
		if want.Min == 0 || uint16(n+modelHeaders) < want.Min {
			want.Min = uint16(n + modelHeaders)
		}
		want.Max = max(want.Max, uint16(n+modelHeaders))
		if begin == 0 {
			begin = g.time
		}
		end = g.time
	}
	want.Known, want.Length = true, uint32(min(s.sent, c.end)-start)
	timing := correlator.Timing{Known: true, Recv: (end - begin) / 1000, Wait: (s.m.now - end) / 1000}
	switch {
	case res.Size != want:
		return fmt.Sprintf("size %+v, want %+v", res.Size, want)
	case res.Timing != timing:
		return fmt.Sprintf("timing %+v, want %+v", res.Timing, timing)
	case res.Partial != (uint64(want.Length) < c.end-c.start):
		return "partial is wrong"
	}
	return ""
}

// isLuck says whether others' bytes are just as many as those that the call still lacks, where it was not known at which
// byte the call begins: no length tells those apart.
func (s *simulation) isLuck(res correlator.Result, call correlator.Call) bool {
	if span := uint64(res.Size.Length); span != call.RequestLength && span != call.RequestLength+call.ContentLength {
		return false
	}
	s.tally.lucky++
	s.misled = true
	return s.kind != (traffic{})
}

// story returns what happened on the connection.
func (s *simulation) story() string {
	return fmt.Sprintf("traffic %+v\ncall %d: %+v\nof %+v\nsegments %+v", s.kind, s.current+1, s.calls[s.current], s.calls, s.segments)
}

// simulate plays a number of connections with random choices.
func simulate(t *testing.T, connections int, kind func(*choices) traffic) tally {
	t.Helper()
	var sum tally
	random := newRandom(t)
	data := make([]byte, 1200)
	for i := 0; i < connections && !t.Failed(); i++ {
		_, _ = random.Read(data)
		newSimulation(t, data, kind, &sum).run()
	}
	return sum
}

// TestPlainTrafficIsAlwaysExchange: keep-alive calls and uploads, complete or under way.
func TestPlainTrafficIsAlwaysExchange(t *testing.T) {
	sum := simulate(t, 500, plainTraffic)
	t.Logf("%+v", sum)
	if sum.exchanges != sum.asked || sum.asked < 10_000 || sum.lucky != 0 {
		t.Errorf("%+v: every plain call should be an exchange", sum)
	}
}

// TestAnExchangeIsTheCallsAlone holds for any traffic: what is called an exchange has exactly the call's own figures. Only
// a coincidence of lengths can be mistaken, and only on a connection with calls whose end is not known.
func TestAnExchangeIsTheCallsAlone(t *testing.T) {
	for _, c := range []struct {
		name string
		kind func(*choices) traffic
		luck int // at most once in so many exchanges
	}{
		{"in turn", inTurn, 10_000},
		{"counted", countedTraffic, 1 << 30},
		{"any", anyTraffic, 100}, // pipelined calls of one length, of which it is not known where they begin
	} {
		t.Run(c.name, func(t *testing.T) {
			sum := simulate(t, 2000, c.kind)
			t.Logf("%+v", sum)
			if sum.exchanges < sum.asked/20 {
				t.Errorf("%+v: hardly any exchanges to hold against the truth", sum)
			}
			if sum.lucky > sum.exchanges/c.luck {
				t.Errorf("%+v: more coincidences of lengths than once in %d", sum, c.luck)
			}
		})
	}
}

// FuzzMatch: what is called an exchange has exactly the call's own figures.
func FuzzMatch(f *testing.F) {
	random := newRandom(f)
	for range 4 {
		data := make([]byte, 600)
		_, _ = random.Read(data)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		newSimulation(t, data, anyTraffic, new(tally)).run()
	})
}
