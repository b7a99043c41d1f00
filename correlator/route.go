package correlator

// Route says whose configuration a call ran under, as the gateway names it: what switches go by. It never has a version: a
// reload of the gateway changes those of every route.
type Route struct {
	Route    string // route id; "" for a global rule
	Service  string // service id, or ""
	Consumer string // consumer name, or ""
	Global   bool   // a global rule, which names no route and runs on calls that match none, too
}

// String returns the route's id, or `global`.
func (r Route) String() string {
	if r.Global {
		return "global"
	}
	return r.Route
}
