package signal_test

import (
	"math/rand/v2"
	"testing"

	"fivetuple/correlator/baseline"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// flagAbove is the default of the setting signals.flag_above.
const flagAbove = 0.8

const (
	ms     = 1000 // microseconds
	second = 1000 * ms
)

// usual is a route of small calls, read at once.
func usual() *baseline.Usual {
	return &baseline.Usual{Ready: true, Calls: 10_000, Quantities: [baseline.Quantities]baseline.Range{
		baseline.Size:    {P50: 900, P99: 3000},
		baseline.Receive: {P50: 100, P99: 20 * ms},
		baseline.Wait:    {P50: 200, P99: 2 * ms},
		baseline.RTT:     {P50: 20 * ms, P99: 90 * ms},
	}}
}

// normal is a call as most are.
func normal() signal.Call {
	return signal.Call{
		Request: signal.Traffic{Packets: 2, Bytes: 1480, Payload: 1376}, Response: signal.Traffic{Packets: 8, Payload: 10_000},
		Head: 600, Receive: 100, Wait: 300, Respond: 30 * ms, RTT: 25 * ms, First: flow.PayloadHTTP1, TTL: 52, TTLBefore: 52, Usual: usual(),
	}
}

func verdict(c *signal.Call) signal.Verdict {
	var f signal.Facts
	f.AddCall(c)
	return f.Verdict(signal.All)
}

// TestHonestCallsAreNotFlagged, however bad the road is.
func TestHonestCallsAreNotFlagged(t *testing.T) {
	for name, change := range map[string]func(*signal.Call){
		"as most":          func(*signal.Call) {},
		"nothing is known": func(c *signal.Call) { *c = signal.Call{Usual: &baseline.Usual{}} },
		"far away, lossy, and a large upload": func(c *signal.Call) {
			c.RTT, c.Receive, c.Wait = 600*ms, 60*second, 200*ms
			c.Request = signal.Traffic{Packets: 7000, Retransmitted: 140, OutOfOrder: 150, Bytes: 10_000_000, Payload: 9_700_000}
			c.Response = signal.Traffic{Packets: 100, Retransmitted: 2, Payload: 140_000}
			c.Respond = 4 * second
		},
		"everything that is the road's fault, at its worst": func(c *signal.Call) {
			c.RTT, c.Receive, c.Wait, c.TTL = 60*second, 600*second, 60*second, 30
			c.Request = signal.Traffic{Packets: 7000, Retransmitted: 2400, OutOfOrder: 7000, ZeroWindow: 100, Bytes: 1e12, Payload: 1e12}
			c.Response = signal.Traffic{Packets: 1000, Retransmitted: 1000, Payload: 1_400_000}
			c.Respond = 60 * second
		},
		"a road that doubles every packet": func(c *signal.Call) {
			c.Request = signal.Traffic{Packets: 2000, Retransmitted: 1000, Bytes: 3000, Payload: 2_800_000}
		},
		"one segment sent again until the road was back": func(c *signal.Call) {
			c.Request = signal.Traffic{Packets: 16, Retransmitted: 15, Bytes: 1480, Payload: 16_000}
			c.Receive = 900 * second
		},
		"a network lost within the head": func(c *signal.Call) {
			c.Request = signal.Traffic{Packets: 2, Bytes: 900, Payload: 800}
			c.Receive = 50 * second
		},
		"a head written line by line": func(c *signal.Call) {
			c.Request = signal.Traffic{Packets: 20, Bytes: 1640, Payload: 600}
			c.Receive = 60 * ms
		},
		"a request typed by hand": func(c *signal.Call) {
			c.Request, c.Head, c.Receive = signal.Traffic{Packets: 45, Bytes: 2400, Payload: 45}, 45, 2*second
		},
		"a body that streams events": func(c *signal.Call) {
			c.Stream, c.Request = true, signal.Traffic{Packets: 500, Bytes: 31_000, Payload: 5000}
		},
		"HTTP/2's small frames": func(c *signal.Call) {
			c.HTTP2, c.Request = true, signal.Traffic{Packets: 500, Bytes: 30_000, Payload: 4000}
		},
		"a download that is paused": func(c *signal.Call) {
			c.Request.ZeroWindow, c.Respond, c.Response.Payload = 12, 600*second, 4_000_000
		},
		"another host behind a NAT": func(c *signal.Call) { c.TTL = 116 },
	} {
		c := normal()
		change(&c)
		if v := verdict(&c); v.Score > flagAbove {
			t.Errorf("%s: %.3f %v", name, v.Score, v.Signals)
		}
	}
}

// TestAttacksAreFlagged, each by its signal alone.
func TestAttacksAreFlagged(t *testing.T) {
	for name, test := range map[string]struct {
		signal signal.Signal
		change func(*signal.Call)
	}{
		"all data sent four times": {signal.Retransmit, func(c *signal.Call) {
			c.Request = signal.Traffic{Packets: 80, Retransmitted: 60, Bytes: 3000, Payload: 100_000}
		}},
		"a head a byte a segment": {signal.TinySegments, func(c *signal.Call) {
			c.Request = signal.Traffic{Packets: 600, Bytes: 3000, Payload: 600}
		}},
		"Slowloris": {signal.SlowRequest, func(c *signal.Call) {
			c.Request, c.Receive = signal.Traffic{Packets: 12, Bytes: 1200, Payload: 620}, 55*second
		}},
		"a slow body": {signal.SlowRequest, func(c *signal.Call) {
			c.Request, c.Receive = signal.Traffic{Packets: 100, Bytes: 3000, Payload: 4900}, 100*second
		}},
		"a slow reader": {signal.ZeroWindow, func(c *signal.Call) {
			c.Request.ZeroWindow, c.Respond, c.Response.Payload = 9, 120*second, 20_000
		}},
		"another protocol": {signal.NotHTTP, func(c *signal.Call) { c.First = flow.PayloadOther }},
	} {
		c := normal()
		test.change(&c)
		var f signal.Facts
		f.AddCall(&c)
		if got := f.Verdict(signal.Of(test.signal)); got.Score <= flagAbove {
			t.Errorf("%s: %v is %.3f, of all %v", name, test.signal, got.Score, f.Verdict(signal.All))
		}
	}
}

// TestACallAsMostHasNoSignal at all.
func TestACallAsMostHasNoSignal(t *testing.T) {
	c := normal()
	if v := verdict(&c); v != (signal.Verdict{}) {
		t.Errorf("%+v", v)
	}
}

// TestWithoutABaseline the signals that need one are silent, whatever the figures are.
func TestWithoutABaseline(t *testing.T) {
	c := normal()
	c.Usual.Ready = false
	c.Request.Bytes, c.Receive, c.Wait, c.RTT = 1e12, 1e12, 1e12, 1e12
	c.Request.Packets, c.Request.Payload = 100, 100_000
	if v := verdict(&c); v.Score != 0 {
		t.Errorf("%+v", v)
	}
}

// TestAnUnknownQuantity of a ready baseline says nothing.
func TestAnUnknownQuantity(t *testing.T) {
	c := normal()
	c.Usual.Quantities = [baseline.Quantities]baseline.Range{}
	c.Request = signal.Traffic{Packets: 100, Bytes: 1e12, Payload: 100_000}
	c.Receive, c.Wait, c.RTT = 1e12, 1e12, 1e12
	if v := verdict(&c); v.Score != 0 {
		t.Errorf("%+v", v)
	}
}

// TestWeakSignals: each is there where its figure is far from usual, and alone it is never worth a flag.
func TestWeakSignals(t *testing.T) {
	for s, change := range map[signal.Signal]func(*signal.Call){
		signal.Size: func(c *signal.Call) { c.Request.Bytes = 1e9 },
		signal.Wait: func(c *signal.Call) { c.Wait = 60 * second },
		signal.RTT:  func(c *signal.Call) { c.RTT = 60 * second },
		signal.OutOfOrder: func(c *signal.Call) {
			c.Request = signal.Traffic{Packets: 100, OutOfOrder: 90, Bytes: 3000, Payload: 100_000}
		},
		signal.TTLShift:    func(c *signal.Call) { c.TTL = 20 },
		signal.SlowRequest: func(c *signal.Call) { c.Receive = 20 * second },
		signal.Retransmit:  func(c *signal.Call) { c.Response.Packets, c.Response.Retransmitted = 100, 50 },
		signal.ZeroWindow:  func(c *signal.Call) { c.Request.ZeroWindow, c.Respond, c.Response.Payload = 9, 9*second, 1e6 },
	} {
		c := normal()
		change(&c)
		v := verdict(&c)
		if v.Signals != signal.Of(s) || v.Score < 0.05 || v.Score > 0.3 {
			t.Errorf("%v: got %v with %.3f", s, v.Signals, v.Score)
		}
	}
}

// TestTTL: hosts begin with several values; only the distance counts.
func TestTTL(t *testing.T) {
	for _, test := range []struct {
		before, now uint8
		shifted     bool
	}{{0, 52, false}, {52, 0, false}, {52, 116, false}, {243, 52, false}, {52, 53, false}, {52, 58, true}, {64, 120, true}, {255, 1, true}} {
		c := normal()
		c.TTLBefore, c.TTL = test.before, test.now
		if got := verdict(&c).Signals.Has(signal.TTLShift); got != test.shifted {
			t.Errorf("%d, then %d: %v", test.before, test.now, got)
		}
	}
}

// TestAnyFigures: whatever the figures are, and however absurd, strengths are in range, and what is added stays.
func TestAnyFigures(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	any64 := func() uint64 { return r.Uint64() >> r.IntN(64) }
	traffic := func() signal.Traffic {
		return signal.Traffic{uint32(any64()), uint32(any64()), uint32(any64()), uint32(any64()), any64(), any64()}
	}
	seen := signal.Set(0)
	for range 100_000 {
		u := usual()
		if r.IntN(4) == 0 {
			u.Quantities = [baseline.Quantities]baseline.Range{}
		}
		c := signal.Call{
			traffic(), traffic(), any64(), any64(), any64(), any64(), any64(), flow.Payload(r.IntN(8)), uint8(any64()), uint8(any64()),
			r.IntN(2) == 0, r.IntN(2) == 0, u,
		}
		var f signal.Facts
		f.AddCall(&c)
		before := f.Verdict(signal.All)
		if !(before.Score >= 0 && before.Score <= 1) {
			t.Fatalf("%+v: %+v", c, before)
		}
		seen |= before.Signals
		n := normal()
		f.AddCall(&n)
		if after := f.Verdict(signal.All); after != before {
			t.Fatalf("%+v: %+v, then %+v", c, before, after)
		}
	}
	if want := signal.Of(signal.HalfOpen) - 1; seen != want {
		t.Errorf("only %v were seen", seen)
	}
}

func BenchmarkAddCall(b *testing.B) {
	c := normal()
	var f signal.Facts
	b.ReportAllocs()
	for b.Loop() {
		f = signal.Facts{}
		f.AddCall(&c)
	}
	if f.Verdict(signal.All).Score != 0 {
		b.Fatal("a normal call has a score")
	}
}
