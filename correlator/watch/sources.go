package watch

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"time"

	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// fadeTime is after what time a count is worth 1/e.
const fadeTime = 10 * time.Second

// sourceQuiet is how long a window stays that nothing was added to: what it has counted has faded to a twentieth.
const sourceQuiet = 3 * fadeTime

// source is the window of one address, and what it is counted by.
type source struct {
	signal.SourceWindow
	address [16]byte
	before  kernelCounts // of the kernel, at the last look
	faded   uint64       // until when the sums are faded
	touched uint64       // when something was added last
	halfOf  uint32       // the turn that HalfOpen is of
	paced   float64      // exchanges a second, of this turn
	serial  float64      // those of the busiest connection with one call under way
	trusted bool
}

// sources are the windows. It is a bounded table: when it is full, one at random makes room, so that no order of arrival
// keeps anybody out for long.
type sources struct {
	index   map[[16]byte]uint32
	all     []source
	limit   int
	crowded uint64
	trusted flow.Prefixes
}

func newSources(limit int, trusted flow.Prefixes) sources {
	return sources{index: make(map[[16]byte]uint32), limit: limit, trusted: trusted}
}

// has says whether an address has a window.
func (s *sources) has(address *[16]byte) bool {
	_, ok := s.index[*address]
	return ok
}

// take returns the window of an address, a new one if it has none. It is valid until the next take.
func (s *sources) take(address *[16]byte, now uint64) *source {
	if i, ok := s.index[*address]; ok {
		s.all[i].touched = now
		return &s.all[i]
	}
	if len(s.all) >= s.limit {
		s.remove(rand.IntN(len(s.all)))
		s.crowded++
	}
	s.index[*address] = uint32(len(s.all))
	s.all = append(s.all, source{address: *address, faded: now, touched: now, trusted: s.trusted.Has(netip.AddrFrom16(*address))})
	return &s.all[len(s.all)-1]
}

// remove removes the window at a place; the last one comes to be there.
func (s *sources) remove(i int) {
	delete(s.index, s.all[i].address)
	last := len(s.all) - 1
	if i != last {
		s.all[i] = s.all[last]
		s.index[s.all[i].address] = uint32(i)
	}
	s.all = s.all[:last]
}

// fade lets the sums fade until now.
func (s *source) fade(now uint64) {
	if now <= s.faded {
		return
	}
	f := math.Exp(-float64(now-s.faded) / float64(fadeTime))
	s.SYNs *= f
	s.Handshakes *= f
	s.Ports *= f
	s.Malformed *= f
	s.faded = now
}
