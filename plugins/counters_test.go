package plugins_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"fivetuple/correlator"
	"fivetuple/correlator/flow"
	"fivetuple/plugins"
)

// severalRequest is a call of our own server: it asks several variables at once.
type severalRequest struct {
	*request
	gone []string // the names of each question
}

// Vars is server.request's.
func (r *severalRequest) Vars(names ...string) ([][]byte, error) {
	r.gone = append(r.gone, strings.Join(names, " "))
	values := make([][]byte, 0, len(names))
	for _, name := range names {
		values = append(values, r.vars[name])
	}
	return values, r.err
}

const wireVariables = "realip_remote_addr realip_remote_port server_addr server_port connection connection_requests request_length"

// withVariables gives a call the wire's tuple in single variables.
func withVariables(r *request) *request {
	values := strings.Fields(wireTuple)
	for i, name := range strings.Fields(wireVariables) {
		r.vars[name] = []byte(values[i])
	}
	return r
}

func newCounted(t *testing.T, way string, table flow.Table) (*plugins.PacketInsight, *plugins.Counters, any) {
	t.Helper()
	counters := new(plugins.Counters)
	p := plugins.NewPacketInsight(plugins.Deps{
		Correlator: newCorrelator(t, table), Tuple: way, Now: func() uint64 { return wireNow }, Counters: counters,
	})
	conf, err := p.ParseConf([]byte(`{"headers":["match"]}`))
	if err != nil {
		t.Fatal(err)
	}
	return p, counters, conf
}

// checkCounters holds every counter: those not named are 0.
func checkCounters(t *testing.T, what string, c *plugins.Counters, want map[string]uint64) {
	t.Helper()
	got := map[string]uint64{}
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		if !v.Type().Field(i).IsExported() {
			continue
		}
		if n, ok := reflect.TypeAssert[*atomic.Uint64](v.Field(i).Addr()); ok && n.Load() > 0 {
			got[v.Type().Field(i).Name] = n.Load()
		}
	}
	for m := range correlator.MatchExchange + 1 {
		if n := c.Matches(m); n > 0 {
			got[m.String()] = n
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: counted %v, want %v", what, got, want)
	}
}

func TestCountersOfTuples(t *testing.T) {
	mapped := func(value string, r *request) *request {
		r.vars["packet_tuple"] = []byte(value)
		return r
	}
	broken := newRequest()
	broken.err = errors.New("reset")
	for _, c := range []struct {
		name, way string
		r         *request
		want      map[string]uint64
	}{
		{"header", "header", newRequest(tupleField()), map[string]uint64{"TupleHeader": 1, "exchange": 1}},
		{"map variable", "header", mapped(wireTuple, newRequest()), map[string]uint64{"TupleMapVariable": 1, "exchange": 1}},
		{"variables", "header", withVariables(newRequest()), map[string]uint64{"TupleVariables": 1, "exchange": 1}},
		{
			"a wrong header", "header", mapped(wireTuple, newRequest("X-Packet-Tuple: 1")),
			map[string]uint64{"TupleMapVariable": 1, "WrongHeader": 1, "exchange": 1},
		},
		{
			"two wrong ones", "header", withVariables(mapped("1", newRequest("X-Packet-Tuple: 1"))),
			map[string]uint64{"TupleVariables": 1, "WrongHeader": 1, "WrongMapVariable": 1, "exchange": 1},
		},
		{
			"a wrong variable", "variables", mapped(wireTuple, &request{header: newRequest().header, vars: map[string][]byte{
				"realip_remote_addr": []byte("unix:"), "realip_remote_port": []byte("1"), "server_addr": []byte("unix:"),
				"server_port": []byte("1"), "connection": []byte("1"), "connection_requests": []byte("1"), "request_length": []byte("1"),
			}}),
			map[string]uint64{"TupleNone": 1, "WrongVariables": 1, "none": 1},
		},
		{"nothing", "map-variable", newRequest(), map[string]uint64{"TupleNone": 1, "none": 1}},
		{"the gateway is gone", "variables", broken, map[string]uint64{"TupleNone": 1, "VariableErrors": 1, "none": 1}},
	} {
		fields := c.r.header.Clone() // the filter removes what is ours
		p, counters, conf := newCounted(t, c.way, newWire())
		p.RequestFilter(conf, nil, c.r)
		checkCounters(t, c.name, counters, c.want)

		c.r.header.Header = fields
		p, counters, conf = newCounted(t, c.way, newWire())
		p.RequestFilter(conf, nil, &severalRequest{request: c.r})
		checkCounters(t, c.name+", in one go", counters, c.want)
	}
}

func TestCountersOfConfigurationsAndMatches(t *testing.T) {
	w := newWire()
	p, counters, conf := newCounted(t, correlator.TupleHeader, w)
	p.RequestFilter(conf, nil, newRequest(tupleField()))
	w.err = flow.ErrNotFound
	p.RequestFilter(conf, nil, newRequest(tupleField()))
	wrongConf, _ := p.ParseConf([]byte(`{"headers":[]}`))
	p.RequestFilter(wrongConf, nil, newRequest(tupleField()))
	p.RequestFilter(nil, nil, newRequest(tupleField()))
	checkCounters(t, "all", counters, map[string]uint64{
		"TupleHeader": 2, "ConfErrors": 1, "ConfErrorCalls": 2, "exchange": 1, "none": 3,
	})
}

// TestCountersConcurrently: what is counted of calls that run at the same time is all of them.
func TestCountersConcurrently(t *testing.T) {
	p, counters, conf := newCounted(t, correlator.TupleHeader, newWire())
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				p.RequestFilter(conf, nil, newRequest(tupleField()))
			}
		})
	}
	all.Wait()
	if n := counters.TupleHeader.Load(); n != 800 {
		t.Errorf("%d calls counted of 800", n)
	}
}

// TestVariablesInOneGo: a request that can is asked for all single variables at once, one that cannot in turn.
func TestVariablesInOneGo(t *testing.T) {
	several := &severalRequest{request: withVariables(newRequest())}
	p, _, conf := newCounted(t, correlator.TupleVariables, newWire())
	p.RequestFilter(conf, nil, several)
	if several.header.Get("X-Packet-Match") != wireMatch || !slices.Equal(several.gone, []string{wireVariables}) || len(several.asked) > 0 {
		t.Errorf("%s; asked %q at once, %q in turn", several.header.Get("X-Packet-Match"), several.gone, several.asked)
	}
	r := withVariables(newRequest())
	p, _, conf = newCounted(t, correlator.TupleVariables, newWire())
	p.RequestFilter(conf, nil, r)
	if r.header.Get("X-Packet-Match") != wireMatch || strings.Join(r.asked, " ") != wireVariables {
		t.Errorf("%s; asked %q", r.header.Get("X-Packet-Match"), r.asked)
	}
}

func TestVariablesInOneGoOfABrokenCall(t *testing.T) {
	r := &severalRequest{request: withVariables(newRequest())}
	r.err = errors.New("reset")
	p, counters, conf := newCounted(t, correlator.TupleVariables, newWire())
	p.RequestFilter(conf, nil, r)
	checkCounters(t, "broken", counters, map[string]uint64{"TupleNone": 1, "VariableErrors": 1, "none": 1})
}
