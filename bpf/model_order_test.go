package bpf

import "fivetuple/correlator/flow"

// holeTable is what bounds how many directions can have holes.
type holeTable struct {
	room   int
	used   int
	counts *flow.TableCounts
}

// order counts a segment that does not begin at the highest sequence; true if it begins below.
func (c *modelConn) order(p *wirePacket) (old bool) {
	d := &c.Dir[p.dir]
	switch {
	case below(p.seq, d.SeqHigh):
		late := c.fillHoles(p)
		d.OutOfOrder += uint32(late)
		d.Retransmitted += uint32(p.below(d.SeqHigh) - late)
		return true
	case p.seq == d.SeqHigh || !below(d.SeqHigh, p.end()): // half the sequence space away: neither below nor above
	case !c.openHole(p):
		c.forgot(p.dir, 1)
	}
	return false
}

// below returns how many segments begin below a sequence number.
func (p *wirePacket) below(high uint32) (n int) {
	for i := range p.count() {
		if below(p.seq+uint32(i*p.segment), high) {
			n++
		}
	}
	return n
}

func (c *modelConn) forgot(dir, holes int) {
	d := &c.Dir[dir]
	d.HolesForgotten = uint16(min(int(d.HolesForgotten)+holes, 0xffff))
}

func (c *modelConn) openHole(p *wirePacket) bool {
	t, h := c.tracked, &c.missing[p.dir]
	if t == nil {
		return false
	}
	if len(h.holes) == 0 {
		if t.used == t.room {
			t.counts.Refused++
			return false
		}
		t.used++
		t.counts.Inserted++
	}
	opened := h.open(p.seq)
	c.Dir[p.dir].Holes = uint8(len(h.holes))
	return opened
}

func (c *modelConn) fillHoles(p *wirePacket) (segments int) {
	return c.changeHoles(p.dir, func(h *modelHoles) (segments int) {
		segments, forgotten := h.fill(p)
		c.forgot(p.dir, forgotten)
		return segments
	})
}

func (c *modelConn) forgetHoles(dir int) {
	c.changeHoles(dir, func(h *modelHoles) int { h.holes = nil; return 0 })
}

func (c *modelConn) rise(p *wirePacket) {
	c.changeHoles(p.dir, func(h *modelHoles) int { h.rise(p.end()); return 0 })
}

// changeHoles gives the table's entry back when the last hole is gone.
func (c *modelConn) changeHoles(dir int, change func(*modelHoles) int) int {
	h := &c.missing[dir]
	had := len(h.holes) > 0
	result := change(h)
	c.Dir[dir].Holes = uint8(len(h.holes))
	if had && len(h.holes) == 0 {
		c.tracked.used--
		c.tracked.counts.Removed++
	}
	return result
}
