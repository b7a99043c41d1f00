package report

import (
	"cmp"
	"maps"
	"slices"
)

// offer is a gateway's routes that a report may tell apart, with their calls.
type offer map[string]uint64

// add adds calls of a route. More than `most` routes are not kept: no honest gateway has more.
func (o offer) add(route string, calls uint64, most int) {
	if before, ok := o[route]; route != Other && (ok || len(o) < most) {
		o[route] = sum(before, calls)
	}
}

// byCalls returns the routes, the busiest first.
func (o offer) byCalls() []string {
	return slices.SortedFunc(maps.Keys(o), func(a, b string) int { return cmp.Or(cmp.Compare(o[b], o[a]), cmp.Compare(a, b)) })
}

// rows chooses the routes that are told apart, at most so many: the gateways take turns, and each names its busiest route that nobody has
// named yet. So of n gateways each has its share, 1/n of the rows, whatever the others make up, and what it does not need is the others';
// a route that several have costs one of them a turn. Calls are compared with those of the same gateway alone: a number that is made up
// brings nothing. A rank by how many gateways have a route would let two that make up the same routes push out everybody.
func rows(offers []offer, most int) map[string]struct{} {
	chosen := make(map[string]struct{}, most)
	waiting := make([][]string, 0, len(offers))
	for _, o := range offers {
		waiting = append(waiting, o.byCalls())
	}
	for len(waiting) > 0 {
		for i := range waiting {
			if len(chosen) == most {
				return chosen
			}
			waiting[i] = choose(waiting[i], chosen)
		}
		waiting = slices.DeleteFunc(waiting, func(routes []string) bool { return len(routes) == 0 })
	}
	return chosen
}

// choose adds the first route that is not chosen yet, and returns those after it.
func choose(routes []string, chosen map[string]struct{}) []string {
	for i, route := range routes {
		if _, ok := chosen[route]; !ok {
			chosen[route] = struct{}{}
			return routes[i+1:]
		}
	}
	return nil
}
