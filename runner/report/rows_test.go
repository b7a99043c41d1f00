package report

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// counted returns figures with n calls of each of some routes: of the first n, of the next n-1, and so on, 1 at least.
func counted(t testing.TB, n int, routes ...string) *Figures {
	t.Helper()
	f, _ := newFigures(t, len(routes))
	for i, route := range routes {
		for range max(n-i, 1) {
			f.Take(exchange(route))
		}
	}
	return f
}

func named(prefix string, n int) (routes []string) {
	for i := range n {
		routes = append(routes, fmt.Sprintf("%s-%03d", prefix, i))
	}
	return routes
}

// TestRoutesThatAreMadeUpFoldThemselves: gateways that are read first, have as many routes as a report, the same ones, and more calls,
// take no row of those that have at most their share; a big one keeps its busiest, for its share and what the small ones do not need.
// Whose calls are folded is told.
func TestRoutesThatAreMadeUpFoldThemselves(t *testing.T) {
	const maxRoutes = 60
	var p published
	p.publish(t, "a-hostile", counted(t, 90, named("junk", maxRoutes)...))
	p.publish(t, "b-hostile", counted(t, 80, named("junk", maxRoutes)...)) // the same routes: two that agree
	p.publish(t, "big", counted(t, 40, named("big", 40)...))
	p.publish(t, "gw-1", counted(t, 1, append(named("shared", 8), "of-1")...))
	p.publish(t, "gw-2", counted(t, 1, append(named("shared", 8), "of-2")...))
	r, err := collect(t.Context(), Query{Since: time.Hour}, noon, &p, maxRoutes)
	if err != nil {
		t.Fatal(err)
	}
	rows, calls := map[string]int{}, map[string]uint64{}
	for _, route := range r.Routes {
		rows[route.Route[:3]]++
		calls[route.Route] = route.Calls
	}
	// 10 rows are of the small ones. Of the other 50 the three large ones name one each in turn.
	if d := cmp.Diff(map[string]int{"jun": 34, "big": 16, "sha": 8, "of-": 2, Other[:3]: 1}, rows); d != "" {
		t.Errorf("rows (-want +got):\n%s", d)
	}
	for _, route := range slices.Concat(named("shared", 8), named("big", 16), []string{"of-1", "of-2"}) {
		if calls[route] == 0 {
			t.Errorf("%s has no row", route)
		}
	}
	folded := uint64(0)
	for i, want := range []Gateway{
		{Gateway: "a-hostile", FoldedRoutes: maxRoutes - 34, FoldedCalls: sumOf(56) - sumOf(30)},
		{Gateway: "b-hostile", FoldedRoutes: maxRoutes - 34, FoldedCalls: sumOf(46) - sumOf(20)},
		{Gateway: "big", FoldedRoutes: 24, FoldedCalls: sumOf(24)},
		{Gateway: "gw-1"},
		{Gateway: "gw-2"},
	} {
		got := r.Gateways[i]
		folded += got.FoldedCalls
		if got.Gateway != want.Gateway || got.FoldedRoutes != want.FoldedRoutes || got.FoldedCalls != want.FoldedCalls {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if calls[Other] != folded {
		t.Errorf("%d calls are folded, and %d are told", calls[Other], folded)
	}
}

// sumOf returns 1 + 2 + ... + n.
func sumOf(n uint64) uint64 { return n * (n + 1) / 2 }

// TestNothingIsFoldedThatFits: up to the bound every route has its row, and nobody is said to be folded; Other's are nobody's turn.
func TestNothingIsFoldedThatFits(t *testing.T) {
	var p published
	p.publish(t, "gw-1", counted(t, 9, append(named("a", 5), Other)...))
	p.publish(t, "gw-2", counted(t, 9, append(named("b", 5), Other)...))
	r, err := collect(t.Context(), Query{Since: time.Hour}, noon, &p, 10)
	if err != nil || len(r.Routes) != 11 || routeOf(t, r, Other).Calls != 8 {
		t.Errorf("%d routes, %v", len(r.Routes), err)
	}
	for _, g := range r.Gateways {
		if g.FoldedRoutes != 0 || g.FoldedCalls != 0 {
			t.Errorf("%+v", g)
		}
	}
	r, err = collect(t.Context(), Query{Since: time.Hour}, noon, &p, 9)
	if err != nil || len(r.Routes) != 10 || routeOf(t, r, Other).Calls != 8+5 {
		t.Errorf("%d routes, %v", len(r.Routes), err)
	}
	if r.Gateways[0].FoldedRoutes != 0 || r.Gateways[1].FoldedRoutes != 1 {
		t.Errorf("%+v", r.Gateways)
	}
}
