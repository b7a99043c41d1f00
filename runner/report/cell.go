package report

import "fivetuple/correlator"

// cell is a route's figures in a bucket. While the bucket is open it has sketches, then only their packed form.
type cell struct {
	Counts
	times    sketches // none: nothing was added, or it is closed
	revision uint64   // of the last change, in the order of all changes
	packed   *Value   // as of packedAt; never changed again
	packedAt uint64
}

func (c *cell) add(r *correlator.CallRecord, revision uint64) {
	c.revision = revision
	c.Counts.add(r)
	if !hasTimes(r) {
		return
	}
	for i, us := range timesOf(&r.Split) {
		c.times.at(i).Add(us, 1)
	}
}

// value returns the figures as they are now.
func (c *cell) value() *Value {
	if c.packed != nil && c.packedAt == c.revision {
		return c.packed
	}
	v := &Value{Counts: c.Counts}
	for i, s := range c.times {
		if c.times.has(i) {
			v.Times[i] = s.Pack()
		}
	}
	c.packed, c.packedAt = v, c.revision
	return v
}

// close keeps the packed form alone.
func (c *cell) close() {
	c.value()
	c.times = sketches{}
}

// load adds what was counted before this process began. Each sketch of the value has been checked.
func (c *cell) load(v *Value) {
	if before := c.value(); c.times == (sketches{}) { // a closed one is opened again
		c.times.merge(&before.Times)
	}
	c.times.merge(&v.Times)
	c.merge(&v.Counts)
	c.packed, c.revision = nil, max(c.revision, Loaded)
}
