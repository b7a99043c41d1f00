package simulated

import (
	"testing"
	"time"

	"fivetuple/conf"
	"fivetuple/correlator"
	"fivetuple/correlator/baseline"
	"fivetuple/examples/evaluate/outcome"
)

func defaults() Settings {
	c := conf.Default()
	return Settings{
		Correlator: c.Correlator, Watch: c.Watch,
		Baseline: c.Baseline, FlagAbove: c.Signals.FlagAbove,
	}
}

// TestRecordsOfARoad: that nobody is flagged says something only if the roads leave their traces in the records: round trips,
// segments that come late or again, and calls that find their own figures.
func TestRecordsOfARoad(t *testing.T) {
	var result outcome.Benign
	w, err := newWorld(defaults(), 1, &result)
	if err != nil {
		t.Fatal(err)
	}
	var calls, exchanges, lateCalls, resent, ready int
	var rtt, receive uint64
	w.ended = func(r *correlator.CallRecord) {
		calls++
		if r.Match == correlator.MatchExchange {
			exchanges++
		}
		if r.Request.OutOfOrder > 0 {
			lateCalls++
		}
		if r.Response.Retransmitted > 0 {
			resent++
		}
		if r.Judged {
			ready++
		}
		rtt += uint64(r.RTT.Now)
		receive += (r.At.LastRequest - r.At.FirstRequest) / 1000
	}
	w.people(200, mobile(), 20*time.Second, 5*time.Minute)
	w.run(5 * time.Minute)
	w.cor.Flush()
	t.Logf("%d calls, %d exchanges, %d judged; late segments in %d, sent again in %d; round trip %d us, receive %d us",
		calls, exchanges, ready, lateCalls, resent, rtt/uint64(calls), receive/uint64(calls))
	if calls < 5000 || float64(exchanges) < 0.9*float64(calls) || ready < exchanges {
		t.Errorf("of %d calls %d are exchanges and %d judged", calls, exchanges, ready)
	}
	if mean := rtt / uint64(calls); mean < 550_000 || mean > 1_000_000 {
		t.Errorf("a mean round trip of %d us, want 600 ms and some queueing", mean)
	}
	if lateCalls == 0 || resent < calls/50 {
		t.Errorf("late segments in %d calls, sent again in %d, of %d", lateCalls, resent, calls)
	}
	if len(w.half.keys) > 1000 || !w.baselines.Usual(key("GET")).Ready {
		t.Errorf("%d half-open entries are left; baseline ready: %v", len(w.half.keys), w.baselines.Usual(key("GET")).Ready)
	}
}

func key(method string) baseline.Key { return baseline.Key{Route: "api", Method: method} }
