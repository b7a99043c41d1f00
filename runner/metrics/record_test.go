package metrics

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"fivetuple/bpf"
	"fivetuple/correlator"
	"fivetuple/correlator/baseline"
	"fivetuple/correlator/fleet"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
	"fivetuple/plugins"
	"fivetuple/runner/calls"
	"fivetuple/runner/server"
)

// exchange is the record of a call that has everything.
func exchange(route string) *correlator.CallRecord {
	r := &correlator.CallRecord{
		Match: correlator.MatchExchange, First: 3, Last: 4,
		Request: correlator.Traffic{Span: flow.Span{Packets: 2, Bytes: 1104, Payload: 1000, Length: 1000}, Retransmitted: 1},
		Response: correlator.Traffic{
			Span: flow.Span{Packets: 5, Bytes: 6260, Payload: 6000, Length: 6000}, Retransmitted: 4,
		},
		RTT:   correlator.RTT{Now: 23120, Min: 21090, Handshake: 22000},
		Split: correlator.Split{Network: 23_000_000, Arriving: 100_000, Waiting: 100_000, Serving: 9_800_000, Leaving: 1_000_000, Total: 34_000_000},
	}
	r.Judged, r.Flagged = true, true
	r.Facts.Add(signal.Retransmit, 0.9)
	r.Facts.AddSource(signal.Verdict{Score: 0.5, Signals: signal.Of(signal.PortScan)})
	r.Route = correlator.Route{Route: route, Service: "shop", Consumer: "jack"}
	r.Method, r.Path = "POST", "/secret/path"
	r.Peer, r.Gateway = netip.MustParseAddrPort("192.0.2.77:50000"), netip.MustParseAddrPort("198.51.100.9:9080")
	r.FlowID = flow.CommunityID(r.Key())
	return r
}

// whole is a registry with everything that the runner registers.
type whole struct {
	*prometheus.Registry
	calls    *Calls
	lookups  *Lookups
	stats    server.Stats
	counters plugins.Counters
	cor      correlator.Counters
	base     baseline.Counters
	board    fleet.Counts
	sources  correlator.SourceCounts
	log      calls.LogCounts
	tables   bpf.Counts
	err      error
}

func newWhole(t *testing.T, series int) *whole {
	t.Helper()
	w := &whole{Registry: prometheus.NewPedanticRegistry()}
	w.calls = NewCalls(w, series)
	w.lookups = NewLookups(w, fakeTable{})
	RegisterBuild(w, "v1", "0123")
	RegisterServer(w, &w.stats)
	RegisterPlugins(w, &w.counters)
	RegisterCorrelator(w, func() correlator.Counters { return w.cor })
	RegisterBaselines(w, func() baseline.Counters { return w.base })
	RegisterReport(w, func() int { return 9 }, func() uint64 { return 10 })
	RegisterSharedVerdicts(w, func() fleet.Counts { return w.board }, func() correlator.SourceCounts { return w.sources })
	RegisterQueue(w, "metrics", func() uint64 { return 7 }, func() int { return 8 })
	RegisterLog(w, func() calls.LogCounts { return w.log })
	RegisterTables(w, func() (bpf.Counts, error) { return w.tables, w.err }, func() uint64 { return 12_500_000_000 })
	return w
}

// fakeTable answers by the key's local port.
type fakeTable struct{ flow.Table }

func lookupErrors() []error {
	return []error{nil, flow.ErrNotFound, flow.ErrNoTable, flow.ErrLayout, flow.ErrStale, flow.ErrBusy, errors.ErrUnsupported}
}

func (fakeTable) Lookup(k flow.Key, _ *flow.Record) error { return lookupErrors()[k.LocalPort] }

// count returns how many series there are of some names.
func count(t *testing.T, g prometheus.Gatherer, names ...string) int {
	t.Helper()
	n, err := testutil.GatherAndCount(g, names...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
