package stack_test

import (
	"errors"
	"math"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"

	"fivetuple/correlator"
	"fivetuple/correlator/signal"
	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// holds has something held against an address.
func (r *callRunner) holds(address string, v signal.Verdict) {
	r.sources.Replace(map[[16]byte]correlator.SourceVerdict{
		netip.MustParseAddr(address).As16(): {Verdict: v, Until: math.MaxUint64},
	})
}

// TestABadSourceIsRefused where its route says so, and nowhere else; nobody else is.
func TestABadSourceIsRefused(t *testing.T) {
	tr := startTraffic(t, stack.Options{})
	tr.runner.holds(lab.ClientIPv4, signal.Verdict{Score: 0.97, Signals: signal.Of(signal.SlowHeaders, signal.HalfOpen)})
	const refuse = `refuse;status=429;score=0.97;signals="half-open slow-headers"`

	c := dial(tr.ctx, t, tr.s, lab.GatewayFrontIPv4)
	in, a := do(t, c, stack.Get("/observed/1", 0, "X-Packet-Guard: pass", "X-Packet-Anomaly: 0.0"))
	if got := a.Echo.Header.Values("X-Packet-Guard"); len(got) != 1 || got[0] != refuse {
		t.Errorf("observed: %q", got)
	}
	if in.Score != 0.97 || in.Signals != "half-open slow-headers" || !in.Learning || in.Match != "exchange" {
		t.Errorf("observed: %+v", in)
	}

	a, err := c.Do(stack.Get("/enforced/1", 0))
	if !errors.Is(err, stack.ErrStatus) || a.Status != http.StatusTooManyRequests || a.Header.Get("Retry-After") != "7" {
		t.Errorf("enforced: %v, %d, %v", err, a.Status, a.Header)
	}
	in, a = do(t, c, stack.Get("/exempt/1", 0))
	if in.Score != 0.97 || len(a.Echo.Header.Values("X-Packet-Guard")) != 0 {
		t.Errorf("exempt: %+v, %v", in, a.Echo.Header)
	}
	in, _ = do(t, dial(tr.ctx, t, tr.s, lab.GatewayFrontIPv6), stack.Get("/enforced/1", 0))
	if in.Score != 0 || in.Signals != "" {
		t.Errorf("somebody else: %+v", in)
	}
	records := tr.flagged(4, func(r *correlator.CallRecord) bool { return r.Peer.Addr().Is4() })
	for i := range records {
		if want := signal.Of(signal.HalfOpen, signal.SlowHeaders); records[i].Flagged && records[i].Facts.Verdict(signal.All).Signals&want != want {
			t.Errorf("%s: %v", records[i].Route.Route, records[i].Facts.Verdict(signal.All))
		}
	}
}

// flagged waits for so many records, and returns them: those of one kind, and no others, are flagged.
func (tr *traffic) flagged(n int, kind func(*correlator.CallRecord) bool) []correlator.CallRecord {
	tr.t.Helper()
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		tr.runner.current().Flush()
		if records := tr.runner.all(); len(records) >= n {
			for i := range records {
				if r := &records[i]; r.Flagged != kind(r) || !r.Judged {
					tr.t.Errorf("%s from %v: flagged %v with %v", r.Route.Route, r.Peer, r.Flagged, r.Facts.Verdict(signal.All))
				}
			}
			return records
		}
		select {
		case <-tr.ctx.Done():
			tr.t.Fatalf("%d records, want %d", len(tr.runner.all()), n)
		case <-tick.C:
		}
	}
}

// TestTinySegments: a request that comes a byte at a time is told, to the upstream and in its record; one that comes at once
// is not.
func TestTinySegments(t *testing.T) {
	tr := startTraffic(t, stack.Options{})
	c := dial(tr.ctx, t, tr.s, lab.GatewayFrontIPv4)
	do(t, c, stack.Get("/observed/whole", 200))
	if err := c.SendSlowly(tr.ctx, stack.Get("/observed/tiny", 200), 1, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	a, err := c.Receive(http.MethodGet)
	if err != nil {
		t.Fatal(err)
	}
	wantTold(t, a, "tiny-segments")
	tr.flagged(2, func(r *correlator.CallRecord) bool { return r.Requests == 2 })
}

// TestARetransmissionStorm: a client that sends its segments five times each is told.
func TestARetransmissionStorm(t *testing.T) {
	tr := startTraffic(t, stack.Options{})
	c := dial(tr.ctx, t, tr.s, lab.GatewayFrontIPv4)
	do(t, c, stack.Get("/observed/once", 6000))
	stutter(t, tr.s, 4)
	if err := c.SendSlowly(tr.ctx, stack.Get("/observed/again", 6000), 200, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	a, err := c.Receive(http.MethodGet)
	if err != nil {
		t.Fatal(err)
	}
	wantTold(t, a, "retransmit")
	tr.flagged(2, func(r *correlator.CallRecord) bool { return r.Requests == 2 })
}

// wantTold wants a call whose upstream was told of a signal that is worth a refusal.
func wantTold(t *testing.T, a stack.Answer, name string) {
	t.Helper()
	in := insight(t, a)
	item, err := httpsfv.UnmarshalItem(a.Echo.Header.Values("X-Packet-Guard"))
	if in.Score <= 0.9 || !strings.Contains(in.Signals, name) || err != nil || item.Value != httpsfv.Token("refuse") {
		t.Errorf("told %+v; %q, %v", in, a.Echo.Header.Values("X-Packet-Guard"), err)
	}
}
