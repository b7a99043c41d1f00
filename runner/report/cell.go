package report

import (
	"fivetuple/correlator"
	"fivetuple/correlator/sketch"
)

// cell is a route's figures in a bucket. While the bucket is open it has sketches, then only their packed form.
type cell struct {
	Counts
	times    [times]sketch.Sketch // nil: nothing was added, or it is closed
	revision uint64               // of the last change, in the order of all changes
	packed   *Value               // as of packedAt; never changed again
	packedAt uint64
}

func (c *cell) add(r *correlator.CallRecord, revision uint64) {
	c.revision = revision
	c.Counts.add(r)
	if !hasTimes(r) {
		return
	}
	for i, us := range timesOf(&r.Split) {
		c.sketch(i).Add(us, 1)
	}
}

func (c *cell) sketch(i int) sketch.Sketch {
	if c.times[i].DDSketch == nil {
		c.times[i] = sketch.New()
	}
	return c.times[i]
}

// value returns the figures as they are now.
func (c *cell) value() *Value {
	if c.packed != nil && c.packedAt == c.revision {
		return c.packed
	}
	v := &Value{Counts: c.Counts}
	for i, s := range c.times {
		if s.DDSketch != nil {
			v.Times[i] = s.Pack()
		}
	}
	c.packed, c.packedAt = v, c.revision
	return v
}

// close keeps the packed form alone.
func (c *cell) close() {
	c.value()
	c.times = [times]sketch.Sketch{}
}

// load adds what was counted before this process began. Each sketch of the value has been checked.
func (c *cell) load(v *Value) {
	for i, p := range c.value().Times { // a closed one is opened again
		if c.times[i].DDSketch == nil && len(p) > 0 {
			_ = c.sketch(i).Merge(p)
		}
		if len(v.Times[i]) > 0 {
			_ = c.sketch(i).Merge(v.Times[i])
		}
	}
	c.merge(&v.Counts)
	c.packed, c.revision = nil, max(c.revision, Loaded)
}
