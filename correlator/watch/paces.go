package watch

import (
	"hash/maphash"
	"time"

	"fivetuple/correlator/flow"
)

// paceSlots is how many connections' last exchange numbers are remembered, a power of two: 12 bytes each. Two that fall on
// one slot forget each other, and so seem slower than they are.
const paceSlots = 1 << 18

// youth is how old a connection is at most whose exchanges all count, if it was not seen before.
const youth = 10 * time.Second

// paces remembers exchange numbers, to tell how many a second a connection carries.
type paces struct {
	seed  maphash.Seed
	slots []pace
}

type pace struct {
	check    uint32
	exchange uint32
	at       uint32 // ns >> 20; mod 2^32: 52 days
}

const paceShift = 20

func newPaces() paces { return paces{maphash.MakeSeed(), make([]pace, paceSlots)} }

// rate returns a connection's exchanges a second since it was seen last, or since its begin if that was lately.
func (p *paces) rate(r *flow.Record, now uint64) float64 {
	hash := maphash.Comparable(p.seed, [2]uint64{r.Conn.ID, uint64(r.Conn.Tag)})
	slot := &p.slots[hash&(paceSlots-1)]
	before := *slot
	*slot = pace{uint32(hash >> 32), r.Exchange, uint32(now >> paceShift)}
	n, passed := r.Exchange, seconds(now-min(r.Conn.ID, now))
	switch {
	case before.check == slot.check && before.exchange <= r.Exchange:
		n -= before.exchange
		passed = seconds(uint64(slot.at-before.at) << paceShift)
	case passed > seconds(uint64(youth)):
		return 0
	}
	return float64(n) / max(passed, 1)
}
