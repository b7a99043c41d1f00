package plugins_test

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"

	"fivetuple/correlator"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
	"fivetuple/plugins"
)

// judged returns what plugins work with, where this is held against the wire's peer.
func judged(tb testing.TB, table flow.Table, against signal.Verdict) plugins.Deps {
	tb.Helper()
	sources := new(correlator.SourceList)
	holdAgainst(sources, against)
	return judgedBy(tb, table, sources)
}

// holdAgainst holds a verdict against the wire's peer.
func holdAgainst(sources *correlator.SourceList, v signal.Verdict) {
	sources.Replace(map[[16]byte]correlator.SourceVerdict{
		netip.MustParseAddr("192.0.2.7").As16(): {Verdict: v, Until: math.MaxUint64},
	})
}

func judgedBy(tb testing.TB, table flow.Table, sources correlator.Sources) plugins.Deps {
	tb.Helper()
	c, err := correlator.New(table, correlator.Options{Tuple: correlator.TupleHeader, Connections: 1024, Stale: 5 * time.Second, Quiet: 5 * time.Second}, nil,
		&correlator.Judge{Sources: sources, FlagAbove: 0.8})
	if err != nil {
		tb.Fatal(err)
	}
	return plugins.Deps{Correlator: c, Tuple: correlator.TupleHeader, Now: func() uint64 { return wireNow }, Counters: new(plugins.Counters)}
}

// slow is a verdict on a source that does one thing, to some degree.
func slow(score float64) signal.Verdict {
	return signal.Verdict{Score: score, Signals: signal.Of(signal.SlowHeaders)}
}

func TestAnomalyHeader(t *testing.T) {
	for _, c := range []struct {
		against signal.Verdict
		want    string
	}{
		{signal.Verdict{}, "0.0;baseline=learning"},
		{slow(1), `1.0;signals="slow-headers";baseline=learning`},
		{slow(0.9), `0.9;signals="slow-headers";baseline=learning`},
		{slow(0.95), `0.95;signals="slow-headers";baseline=learning`},
		{slow(0.9564), `0.956;signals="slow-headers";baseline=learning`},
		{slow(0.0004), `0.0;signals="slow-headers";baseline=learning`},
		{slow(0.9999), `1.0;signals="slow-headers";baseline=learning`},
		{signal.Verdict{Score: 0.5, Signals: signal.Of(signal.PortScan, signal.HalfOpen)}, `0.5;signals="half-open port-scan";baseline=learning`},
	} {
		for format, read := range map[string]func(*request) string{
			`{"headers":["anomaly"]}`: func(r *request) string { return r.header.Get("X-Packet-Anomaly") },
			`{"headers":["anomaly"],"format":"dictionary"}`: func(r *request) string {
				return strings.TrimPrefix(r.header.Get("X-Packet"), "anomaly=")
			},
		} {
			p := plugins.NewPacketInsight(judged(t, newWire(), c.against))
			conf, _ := p.ParseConf([]byte(format))
			r := newRequest(tupleField(), "X-Packet-Anomaly: forged")
			p.RequestFilter(conf, nil, r)
			if got := read(r); got != c.want {
				t.Errorf("%s, %+v: %s, want %s", format, c.against, got, c.want)
			}
		}
	}
}

// TestAnomalyReadBack holds any score against a library's reading of RFC 9651: at most three digits, and no further off than
// half of the last.
func TestAnomalyReadBack(t *testing.T) {
	all := signal.Verdict{Signals: signal.All}
	sources := new(correlator.SourceList)
	p := plugins.NewPacketInsight(judgedBy(t, newWire(), sources))
	conf, _ := p.ParseConf([]byte(`{"headers":["match","anomaly"],"format":"dictionary"}`))
	for i := range 4001 {
		all.Score = float64(i) / 4000
		holdAgainst(sources, all)
		r := newRequest(strings.Replace(tupleField(), " 17 1 ", fmt.Sprintf(" %d 1 ", i+17), 1)) // what was said of a call stays
		p.RequestFilter(conf, nil, r)
		dictionary, err := httpsfv.UnmarshalDictionary(r.header.Values("X-Packet"))
		if err != nil {
			t.Fatalf("%q: %v", r.header.Values("X-Packet"), err)
		}
		member, _ := dictionary.Get("anomaly")
		item, _ := member.(httpsfv.Item)
		score, _ := item.Value.(float64)
		names, _ := item.Params.Get("signals")
		learning, _ := item.Params.Get("baseline")
		if math.Abs(score-all.Score) > 0.0005001 || names != signal.All.String() || learning != httpsfv.Token("learning") {
			t.Fatalf("%v: %q is %v, %v, %v", all.Score, r.header.Values("X-Packet"), score, names, learning)
		}
	}
}

// TestNoAnomalyWithoutAJudge, nor without a record: then nothing is known.
func TestNoAnomalyWithoutAJudge(t *testing.T) {
	none := newWire()
	none.err = flow.ErrNotFound
	for name, d := range map[string]plugins.Deps{
		"no record": judged(t, none, slow(1)),
		"no judge":  {Correlator: newCorrelator(t, newWire()), Tuple: correlator.TupleHeader, Now: func() uint64 { return wireNow }},
	} {
		p := plugins.NewPacketInsight(d)
		conf, _ := p.ParseConf(nil)
		r := newRequest(tupleField(), "X-Packet-Anomaly: forged")
		p.RequestFilter(conf, nil, r)
		if got, ok := owned(r.header.Header)["x-packet-anomaly"]; ok || r.header.Get("X-Packet-Match") == "" {
			t.Errorf("%s: %q of %v", name, got, r.header)
		}
	}
}
