package bpf

import (
	"slices"

	"fivetuple/correlator/flow"
)

// modelHoles are what is missing of a direction, in an unwrapped sequence space: every number lies within 2^31 of high.
type modelHoles struct {
	high  uint64
	holes []modelHole
}

type modelHole struct{ start, end uint64 }

func (h *modelHoles) unwrap(seq uint32) uint64 {
	return h.high + uint64(int64(int32(seq-uint32(h.high))))
}

// restart forgets everything: the sequence begins at another place.
func (h *modelHoles) restart(high uint32) { *h = modelHoles{high: 1<<40 | uint64(high)} }

// fill takes what a packet brings out of the holes, and returns how many of its segments brought something. Of those
// from the 64th on no more than one counts.
func (h *modelHoles) fill(p *wirePacket) (segments, forgotten int) {
	start := h.unwrap(p.seq)
	end := min(start+uint64(p.length()), h.high)
	for n := range min(p.count(), 64) {
		from := start + uint64(n*p.segment)
		to := min(from+uint64(p.segment), end)
		if n == 63 || n == p.count()-1 {
			to = end
		}
		if slices.ContainsFunc(h.holes, func(o modelHole) bool { return o.start < to && from < o.end }) {
			segments++
		}
	}
	room := flow.HolesPerDirection - len(h.holes)
	var left []modelHole
	for _, o := range h.holes {
		for _, part := range []modelHole{{o.start, min(o.end, start)}, {max(o.start, end), o.end}} {
			if part.start < part.end {
				left = append(left, part)
			}
		}
	}
	if len(left) > len(h.holes) && room == 0 { // one was split
		i := slices.IndexFunc(left, func(part modelHole) bool { return part.start == end })
		left = slices.Delete(left, i, i+1)
		forgotten = 1
	}
	h.holes = left
	return segments, forgotten
}

// open stores what is missing below a segment that starts above the highest; false if there is no room.
func (h *modelHoles) open(start uint32) bool {
	if len(h.holes) == flow.HolesPerDirection {
		return false
	}
	h.holes = append(h.holes, modelHole{h.high, h.unwrap(start)})
	return true
}

// rise moves the highest. Now and then, before numbers could be taken for others, far holes go.
func (h *modelHoles) rise(high uint32) {
	const quarter = 1 << 30
	was := h.high
	h.high = h.unwrap(high)
	if was/quarter != h.high/quarter {
		h.holes = slices.DeleteFunc(h.holes, func(o modelHole) bool { return h.high-o.start > quarter })
	}
}

// listed returns the holes as the kernel has them.
func (h *modelHoles) listed() (list []flow.Hole) {
	for _, o := range h.holes {
		list = append(list, flow.Hole{Start: uint32(o.start), End: uint32(o.end)})
	}
	return list
}
