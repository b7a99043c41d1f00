package report

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"fivetuple/correlator/signal"
)

// published is a Source: what gateways have published, by name.
type published struct {
	gateways []Gateway
	values   map[string]map[Bucket]map[string][]byte
	failing  string // this one's values can't be had
}

func (p *published) Gateways(context.Context) ([]Gateway, error) { return p.gateways, nil }

var errAway = errors.New("away")

func (p *published) Values(_ context.Context, gateway string, buckets []Bucket, route *string, each func(string, []byte)) error {
	if gateway == p.failing {
		return errAway
	}
	for _, b := range buckets {
		for id, value := range p.values[gateway][b] {
			if route == nil || *route == id {
				each(id, value)
			}
		}
	}
	return nil
}

// publish publishes all that a gateway has.
func (p *published) publish(t testing.TB, gateway string, f *Figures) {
	t.Helper()
	if p.values == nil {
		p.values = make(map[string]map[Bucket]map[string][]byte)
	}
	of := make(map[Bucket]map[string][]byte)
	for _, step := range []int64{StepFine, StepHour} {
		changed, _ := f.Changed(step, 0)
		for _, c := range changed {
			if of[c.Bucket] == nil {
				of[c.Bucket] = make(map[string][]byte)
			}
			of[c.Bucket][c.Route] = []byte(encoded(t, c.Value))
		}
	}
	p.values[gateway] = of
	p.gateways = append(p.gateways, Gateway{Gateway: gateway, LastSeen: noon, Calls: 99}) // its own word counts for nothing
}

// TestTwoGateways: merged quantiles are those of both gateways' calls, within the stated accuracy; counts are sums.
func TestTwoGateways(t *testing.T) {
	var p published
	var all []float64
	random := rand.New(rand.NewPCG(3, 4))
	var now time.Time
	for g, calls := range []int{30_000, 3_000} { // one busy and fast, the other neither
		f, clock := newFigures(t, 10)
		for i := range calls {
			us := math.Exp(random.NormFloat64()) * 3000 * float64(1+20*g)
			r := took(exchange("orders"), us)
			if i%1000 == 0 {
				flagged(r, signal.Wait)
			}
			f.Take(r)
			all = append(all, us)
			clock.advance(5 * time.Hour / time.Duration(calls))
		}
		f.Take(exchange(fmt.Sprintf("of-%d", g)))
		p.publish(t, fmt.Sprintf("gw-%d", g), f)
		now = clock.now()
	}
	r, err := Collect(t.Context(), Query{Since: 24 * time.Hour}, now, &p)
	if err != nil {
		t.Fatal(err)
	}
	orders := routeOf(t, r, "orders")
	holds(t, orders, all)
	if orders.Request.Bytes != 33_000*1104 || orders.Flagged != 33 || orders.Flags[signal.Wait] != 33 || len(r.Routes) != 3 {
		t.Errorf("%+v", orders)
	}
	if len(r.Gateways) != 2 || r.Gateways[0].Calls != 30_001 || r.Gateways[1].Calls != 3_001 || r.Gateways[1].Flagged != 3 {
		t.Errorf("%+v", r.Gateways)
	}
	route := "of-1"
	r, err = Collect(t.Context(), Query{Since: 24 * time.Hour, Route: &route}, now, &p)
	if err != nil || len(r.Routes) != 1 || r.Routes[0].Route != route {
		t.Errorf("%+v, %v", r.Routes, err)
	}
}

// TestWhatCanNotBeRead: is counted and left out, and says nothing of the rest.
func TestWhatCanNotBeRead(t *testing.T) {
	var p published
	f, clock := newFigures(t, 10)
	for i := range 5 {
		f.Take(exchange(fmt.Sprintf("r%d", i)))
	}
	p.publish(t, "gw-1", f)
	p.publish(t, "gw-2", f)
	fine := p.values["gw-2"][Bucket{StepFine, noon.Unix()}]
	fine["r0"] = []byte(strings.Replace(string(fine["r0"]), `"v":1`, `"v":7`, 1))
	fine["r1"] = fine["r1"][:100]
	r, err := Collect(t.Context(), Query{Since: time.Hour}, clock.now(), &p)
	if err != nil || r.Skipped != (Skipped{Version: 1, Damaged: 1}) || routeOf(t, r, "r0").Calls != 1 || routeOf(t, r, "r2").Calls != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	p.failing = "gw-2"
	if _, err := Collect(t.Context(), Query{Since: time.Hour}, clock.now(), &p); !errors.Is(err, errAway) {
		t.Error(err)
	}
}
