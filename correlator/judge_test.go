package correlator_test

import (
	"testing"

	"fivetuple/correlator"
	"fivetuple/correlator/baseline"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// fakeBaselines says that the same is usual for every key, and keeps what it is to learn.
type fakeBaselines struct {
	usual   baseline.Usual
	learned []learned
}

type learned struct {
	now uint64
	key baseline.Key
	baseline.Observation
}

func (f *fakeBaselines) Usual(baseline.Key) *baseline.Usual { return &f.usual }

func (f *fakeBaselines) Learn(now uint64, k baseline.Key, o *baseline.Observation) {
	f.learned = append(f.learned, learned{now, k, *o})
}

func smallCalls() baseline.Usual {
	return baseline.Usual{Ready: true, Calls: 1000, Quantities: [baseline.Quantities]baseline.Range{
		baseline.Size: {P50: 200, P99: 20_000}, baseline.Receive: {P50: 100, P99: 10_000}, baseline.Wait: {P50: 100, P99: 10_000}, baseline.RTT: {P50: 2000, P99: 20_000},
	}}
}

// court is a script whose calls are judged.
type court struct {
	*script
	baselines fakeBaselines
	sources   correlator.SourceList
	records   []correlator.CallRecord
}

func newCourt(t *testing.T, m *model) *court {
	t.Helper()
	c := &court{script: newScript(t, m), baselines: fakeBaselines{usual: smallCalls()}}
	c.call.Route.Route, c.call.Method = "orders", "POST"
	cor, err := correlator.New(c.table, testOptions(), func(r *correlator.CallRecord) { c.records = append(c.records, *r) },
		&correlator.Judge{Baselines: &c.baselines, Sources: &c.sources, FlagAbove: 0.8})
	if err != nil {
		t.Fatal(err)
	}
	c.cor = cor
	return c
}

// next runs the plugin for the next call.
func (c *court) next(head, body uint64) correlator.Result {
	c.call.Requests++
	c.call.RequestLength, c.call.ContentLength = head, body
	return c.cor.Match(c.m.now, c.call)
}

// sizes are n times the same one.
func sizes(n, size int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = size
	}
	return all
}

func wantSignals(t *testing.T, what string, f *signal.Facts, want signal.Set, flagged bool) {
	t.Helper()
	if v := f.Verdict(signal.All); v.Signals != want || v.Score > 0.8 != flagged {
		t.Errorf("%s: %v with %.3f, want %v, flagged %v", what, v.Signals, v.Score, want, flagged)
	}
}

func TestJudgedAtTheLookAndAtTheEnd(t *testing.T) {
	c := newCourt(t, newModel(modelISN))
	c.play(rx(sizes(200, 1)...))
	res := c.next(200, 0)
	if !res.Judged || res.Learning {
		t.Errorf("judged %v, learning %v", res.Judged, res.Learning)
	}
	wantSignals(t, "a head in tiny segments, at the look", &res.Facts, signal.Of(signal.TinySegments), true)
	c.play(tx(500), rx(200))
	res = c.next(200, 0)
	wantSignals(t, "the call after it", &res.Facts, 0, false)
	c.play(tx(500), rx(200))
	res = c.next(200, 8000)
	wantSignals(t, "a head whose body comes later, at the look", &res.Facts, 0, false)
	c.play(rx(sizes(8000, 1)...), tx(500), rx(200))
	c.next(200, 0)
	if len(c.records) != 3 {
		t.Fatalf("%d records", len(c.records))
	}
	wantSignals(t, "the first, ended", &c.records[0].Facts, signal.Of(signal.TinySegments), true)
	wantSignals(t, "the second, ended", &c.records[1].Facts, 0, false)
	wantSignals(t, "a body in tiny segments, ended", &c.records[2].Facts, signal.Of(signal.TinySegments, signal.Size), true)
	for i, want := range []bool{true, false, true} {
		if c.records[i].Flagged != want {
			t.Errorf("record %d: flagged %v", i, c.records[i].Flagged)
		}
	}
}

// storm has each byte of a request come again and again.
func storm(n, times int) step {
	return func(s *script) {
		for range n {
			s.m.rx(100)
			for range times {
				s.m.again(100)
			}
		}
	}
}

// TestAStormIsItsOwnCalls: neither the call before nor the one after is blamed.
func TestAStormIsItsOwnCalls(t *testing.T) {
	c := newCourt(t, newModel(modelISN))
	none, retransmit := signal.Set(0), signal.Of(signal.Retransmit)
	for i, call := range []struct {
		head, body step
		length     uint64
		atLook     signal.Set
	}{
		{rx(200), nil, 0, none},
		{storm(20, 4), nil, 0, retransmit},
		{rx(200), nil, 0, none},
		{rx(200), storm(20, 4), 2000, none},
		{rx(sizes(30, 50)...), nil, 0, none},
	} {
		before := c.m.next[flow.RX]
		c.play(call.head)
		res := c.next(uint64(c.m.next[flow.RX]-before), call.length)
		wantSignals(t, describe(res), &res.Facts, call.atLook, call.atLook != 0)
		if call.body != nil {
			c.play(call.body)
		}
		if i < 4 {
			c.play(tx(500))
		}
	}
	for i, want := range []signal.Set{none, retransmit, none, retransmit} {
		wantSignals(t, "ended", &c.records[i].Facts, want, want != 0)
	}
}

func TestWhatTeaches(t *testing.T) {
	for _, test := range []struct {
		name     string
		play     func(*court)
		learned  int
		abnormal bool
	}{
		{"an exchange", func(c *court) { c.play(rx(150, 50)); c.next(200, 0) }, 1, false},
		{"a flagged one", func(c *court) { c.play(rx(sizes(200, 1)...)); c.next(200, 0) }, 1, true},
		{"one beyond what is usual", func(c *court) { c.play(rx(200_000)); c.next(200_000, 0) }, 1, true},
		{"a partial one", func(c *court) { c.play(rx(200)); c.next(200, 1000) }, 0, false},
		{"a shared one", func(c *court) { c.play(rx(300)); c.next(200, 0) }, 0, false},
		{"HTTP/2", func(c *court) { c.play(first(http2Preface), rx(200)); c.next(200, 0) }, 0, false},
		{"without a record", func(c *court) { c.table.err = flow.ErrStale; c.next(200, 0); c.table.err = nil }, 0, false},
	} {
		c := newCourt(t, newModel(modelISN))
		test.play(c)
		c.play(tx(700))
		c.m.record.Conn.State = flow.StateClosed
		c.m.now += 60e9
		c.cor.Sweep(c.m.now)
		if len(c.records) != 1 || len(c.baselines.learned) != test.learned {
			t.Errorf("%s: %d records, learned %+v", test.name, len(c.records), c.baselines.learned)
			continue
		}
		for _, l := range c.baselines.learned {
			r := &c.records[0]
			want := [baseline.Quantities]float64{
				baseline.Size: float64(r.Request.Bytes), baseline.Receive: float64((r.At.LastRequest - r.At.FirstRequest) / 1000),
				baseline.RTT: 2000, baseline.Response: float64((r.At.LastResponse - r.At.Plugin) / 1000),
			}
			if l.now != c.m.now || l.key != (baseline.Key{Route: "orders", Method: "POST"}) || l.Abnormal != test.abnormal ||
				l.Source != c.call.Peer.Addr().As16() || l.Values != want || want[baseline.Size] == 0 || want[baseline.Response] == 0 {
				t.Errorf("%s: learned %+v, want %v", test.name, l, want)
			}
		}
	}
}

// TestACutCallTeachesNothing: its end was not seen.
func TestACutCallTeachesNothing(t *testing.T) {
	c := newCourt(t, newModel(modelISN))
	c.play(rx(200))
	c.next(200, 0)
	c.play(tx(700))
	c.cor.Flush()
	if len(c.records) != 1 || !c.records[0].Cut || !c.records[0].Judged || len(c.baselines.learned) != 0 {
		t.Errorf("%+v, learned %+v", c.records, c.baselines.learned)
	}
}

func TestSources(t *testing.T) {
	c := newCourt(t, newModel(modelISN))
	slow := signal.Verdict{Score: 0.95, Signals: signal.Of(signal.SlowHeaders)}
	c.sources.Replace(map[[16]byte]correlator.SourceVerdict{c.call.Peer.Addr().As16(): {Verdict: slow, Until: c.m.now + 10*modelStep}})
	c.play(rx(200))
	res := c.next(200, 0)
	wantSignals(t, "a bad source", &res.Facts, slow.Signals, true)
	c.m.now += 10 * modelStep
	res = c.cor.Match(c.m.now, c.call)
	wantSignals(t, "the same call later, when nothing is held against its source", &res.Facts, slow.Signals, true)
	c.play(tx(500), rx(200))
	res = c.next(200, 0)
	wantSignals(t, "the next call", &res.Facts, 0, false)
	c.cor.Flush()
	if !c.records[0].Flagged || c.records[1].Flagged {
		t.Errorf("flagged: %v, %v", c.records[0].Flagged, c.records[1].Flagged)
	}
}

// TestWordOfTheFleet: it counts like a local one, and is counted; where it is only observed, it is counted alone.
func TestWordOfTheFleet(t *testing.T) {
	slow := signal.Verdict{Score: 0.95, Signals: signal.Of(signal.SlowHeaders)}
	for _, test := range []struct {
		correlator.SourceVerdict
		want correlator.SourceCounts
		told signal.Set
	}{
		{correlator.SourceVerdict{Verdict: slow}, correlator.SourceCounts{}, slow.Signals},
		{correlator.SourceVerdict{Verdict: slow, Origin: flow.OriginFleet}, correlator.SourceCounts{Fleet: 2}, slow.Signals},
		{correlator.SourceVerdict{Verdict: slow, Origin: flow.OriginFleet, Observed: true}, correlator.SourceCounts{Observed: 2}, 0},
	} {
		c := newCourt(t, newModel(modelISN))
		test.Until = c.m.now + 1e9
		c.sources.Replace(map[[16]byte]correlator.SourceVerdict{c.call.Peer.Addr().As16(): test.SourceVerdict})
		for range 2 {
			c.play(rx(200))
			res := c.next(200, 0)
			wantSignals(t, "a call", &res.Facts, test.told, test.told != 0)
			c.play(tx(500))
		}
		c.m.now += 1e9
		c.play(rx(200))
		res := c.next(200, 0)
		wantSignals(t, "a call after it has expired", &res.Facts, 0, false)
		if got := c.sources.Counts(); got != test.want {
			t.Errorf("counted %+v, want %+v", got, test.want)
		}
	}
}

// TestFlagAbove: a route's own threshold goes before the setting, whichever look has it.
func TestFlagAbove(t *testing.T) {
	for _, test := range []struct {
		first, again float64
		flagged      bool
	}{{0, 0, false}, {0.5, 0, true}, {0, 0.5, true}, {0.9, 0.5, true}, {0.5, 0.9, false}} {
		c := newCourt(t, newModel(modelISN))
		c.sources.Replace(map[[16]byte]correlator.SourceVerdict{
			c.call.Peer.Addr().As16(): {Verdict: signal.Verdict{Score: 0.7, Signals: signal.Of(signal.PortScan)}, Until: 1 << 63},
		})
		c.play(rx(200))
		c.call.FlagAbove = test.first
		c.next(200, 0)
		c.call.FlagAbove = test.again
		c.cor.Match(c.m.now, c.call)
		c.cor.Flush()
		if got := c.records[0].Flagged; got != test.flagged {
			t.Errorf("%+v: flagged %v", test, got)
		}
	}
}

func TestLearning(t *testing.T) {
	c := newCourt(t, newModel(modelISN))
	c.baselines.usual.Ready = false
	c.play(rx(sizes(200, 1)...))
	res := c.next(200, 0)
	if !res.Learning {
		t.Error("it does not say that the baseline is not ready")
	}
	wantSignals(t, "what needs no baseline", &res.Facts, signal.Of(signal.TinySegments), true)
}

// TestBeginnings: what a connection began with is told only where that was seen for certain.
func TestBeginnings(t *testing.T) {
	const strange = "\x00\x01strange protocol"
	for _, test := range []struct {
		name string
		m    func() *model
		play step
		want signal.Set
	}{
		{"a request", func() *model { return newModel(modelISN) }, rx(200), 0},
		{"something else", func() *model { m := newModel(modelISN); m.first = strange; return m }, rx(200), signal.Of(signal.NotHTTP)},
		{"a PROXY header", func() *model { m := newModel(modelISN); m.first = "PROXY TCP4 192.0.2.1"; return m }, rx(200), 0},
		{"its first byte alone", func() *model { m := newModel(modelISN); m.first = strange; return m }, rx(1, 199), 0},
		{"midstream", func() *model { m := newMidstream(modelISN); m.first = strange; return m }, rx(200), 0},
		{"late", func() *model {
			m := newModel(modelISN)
			m.first = strange
			m.record.Conn.Dir[flow.RX].OutOfOrder = 1
			return m
		}, rx(200), 0},
	} {
		c := newCourt(t, test.m())
		c.play(test.play)
		res := c.next(200, 0)
		wantSignals(t, test.name+": "+describe(res), &res.Facts, test.want, test.want != 0)
	}
}

// TestTTLShift: an address whose next connection comes from another distance.
func TestTTLShift(t *testing.T) {
	c := newCourt(t, newModel(modelISN))
	for i, test := range []struct {
		ttl  uint8
		want signal.Set
	}{{57, 0}, {57, 0}, {121, 0}, {50, signal.Of(signal.TTLShift)}, {50, 0}} {
		c.m = newModel(modelISN)
		c.m.record.Conn.ID = uint64(i + 1)
		c.m.record.Conn.Dir[flow.RX].TTL = test.ttl
		c.table.models[c.call.Key()] = c.m
		c.call.Connection++
		c.call.Requests = 0
		c.play(rx(100))
		for range 2 {
			res := c.next(100, 0)
			wantSignals(t, describe(res), &res.Facts, test.want, false)
			c.play(tx(100), rx(100))
		}
	}
}

// TestWithoutAJudge: nothing is judged, and everything is as it was.
func TestWithoutAJudge(t *testing.T) {
	s := newScript(t, newModel(modelISN))
	_, last := ended(s)
	s.play(rx(sizes(200, 1)...))
	s.call.Requests, s.call.RequestLength = 1, 200
	res := s.cor.Match(s.m.now, s.call)
	s.cor.Flush()
	if res.Judged || res.Facts != (signal.Facts{}) || last.Judged || last.Flagged || last.Requests != 1 {
		t.Errorf("%+v, %+v", res, last)
	}
}
