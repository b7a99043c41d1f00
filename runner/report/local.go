package report

import (
	"cmp"
	"slices"
	"time"
)

// Report returns what this gateway has counted.
func (f *Figures) Report(q Query) Report {
	now := f.options.Now()
	buckets := Buckets(now, q.Since)
	cells, began := f.cells(buckets, q.Route)
	r := newReport(later(began, time.Unix(buckets[0].Start, 0)), now)
	this := Gateway{Gateway: f.options.Gateway, LastSeen: r.To}
	for id, of := range cells {
		var t total
		for _, v := range f.pack(of) { // and merged while calls go on
			t.add(v)
		}
		this.Calls, this.Flagged = sum(this.Calls, t.Calls), sum(this.Flagged, t.Flagged)
		r.Routes = append(r.Routes, t.route(id))
	}
	r.Gateways = append(r.Gateways, this)
	r.sort()
	return r
}

// cells returns what there is in some buckets, by route.
func (f *Figures) cells(buckets []Bucket, route *string) (all map[string][]*cell, began time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all = make(map[string][]*cell)
	for _, want := range buckets {
		b := f.ring(want.Step).find(want.Start)
		if b == nil {
			continue
		}
		for id, c := range b.cells {
			if route == nil || *route == id {
				all[id] = append(all[id], c)
			}
		}
	}
	return all, f.began
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (r *Report) sort() {
	slices.SortFunc(r.Routes, func(a, b Route) int { return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Route, b.Route)) })
	slices.SortFunc(r.Gateways, func(a, b Gateway) int { return cmp.Compare(a.Gateway, b.Gateway) })
}
