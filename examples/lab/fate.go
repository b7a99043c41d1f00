package lab

import (
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"time"
)

// route names one direction of a connection.
type route struct{ from, to netip.AddrPort }

// fate is what becomes of one packet.
type fate struct {
	lost bool
	held bool // back, so that others may pass
	due  time.Time
}

// impaired is one direction of a connection under an Impairment.
type impaired struct {
	impairment Impairment
	random     *rand.Rand
	delay      time.Duration
	loss       float64
	latest     time.Time // when the last packet leaves that was not held back
}

func newImpaired(i Impairment, r route) *impaired {
	random := rand.New(rand.NewPCG(i.Seed, r.hash())) //nolint:gosec // to be repeated, not to be secret
	return &impaired{
		impairment: i,
		random:     random,
		delay:      between(random, i.DelayMin, i.DelayMax),
		loss:       random.Float64() * i.Loss,
	}
}

func (r route) hash() uint64 {
	h := fnv.New64a()
	for _, end := range []netip.AddrPort{r.from, r.to} {
		text, _ := end.MarshalBinary()
		_, _ = h.Write(text) // never fails
	}
	return h.Sum64()
}

// next decides on the next packet. As many numbers are drawn for every packet, so that the nth has its own.
func (i *impaired) next(now time.Time) fate {
	lost := i.random.Float64() < i.loss
	held := i.random.Float64() < i.impairment.Reorder
	jitter := time.Duration(i.random.Float64() * i.impairment.Jitter * float64(i.delay))
	hold := between(i.random, i.impairment.HoldMin, i.impairment.HoldMax)

	due := now.Add(i.delay + jitter)
	if due.Before(i.latest) {
		due = i.latest
	}
	switch {
	case lost:
	case held:
		due = due.Add(hold)
	default:
		i.latest = due
	}
	return fate{lost: lost, held: held && !lost, due: due}
}

func between(random *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(random.Float64()*float64(high-low))
}
