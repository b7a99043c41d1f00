package fleet

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"fivetuple/correlator/flow"
)

const (
	// maxPeers is how many other gateways are heard; one more is refused, until one has had nothing to say for peerTime.
	maxPeers = 4096
	peerTime = uint64(time.Hour)
	// maxSources is how many addresses the others may hold flagged; one more is refused. Fewer gateways than the largest
	// quorum cannot fill it.
	maxSources = 1 << 14
	// maxClaims is how many gateways are noted that hold one address; more would change nothing.
	maxClaims = 64
)

// Table is what this host's table holds against source addresses, IPv4 v4-mapped; a score of 0 is a pardon.
type Table map[[16]byte]flow.Verdict

// Board is what all gateways of the fleet hold against source addresses, and what of it counts here. Each gateway tells only
// what it holds itself, so that no word comes back as another's.
type Board struct {
	options  Options
	instance string

	mu      sync.Mutex
	exempt  exempt
	own     own
	peers   map[string]*peer
	sources map[[16]byte]*source
	counts  Counts
}

// peer is another gateway.
type peer struct {
	name      string
	instance  string // "": nothing was heard yet
	number    int64  // of the last change heard
	isBehind  bool   // changes were missed
	asked     uint64 // when its list was last asked for
	heard     uint64
	addresses map[[16]byte]struct{} // that it holds flagged
}

// Counts are what a board has counted since its start, but for the first three, which are of now.
type Counts struct {
	Gateways int // others that were heard
	Sources  int // addresses that others hold flagged
	Listed   int // of those, what counts here, or would

	Told        uint64 // changes that were told to the others
	Heard       uint64 // values of others
	Missed      uint64 // times that a gateway's changes were missed, so that its list has to be read
	Unknown     uint64 // values of an unknown version
	Damaged     uint64
	Refused     uint64 // flags for which there was no room
	Unpublished int    // own flags that are not told, because there are too many
}

// NewBoard returns an empty board. The instance is Who's.
func NewBoard(o Options, instance string) (*Board, error) {
	if err := errors.Join(ValidName(o.Gateway), checkInstance(instance)); err != nil {
		return nil, fmt.Errorf("make board: %w", err)
	}
	trusted, err := flow.ParsePrefixes("trusted", o.Trusted)
	if err != nil {
		return nil, fmt.Errorf("make board: %w", err)
	}
	return &Board{
		options: o, instance: instance, exempt: exempt{trusted: trusted}, own: own{said: map[[16]byte]said{}},
		peers: map[string]*peer{}, sources: map[[16]byte]*source{},
	}, nil
}

// SetLocal says which addresses are this host's: nothing that others say of them counts.
func (b *Board) SetLocal(addresses []netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.exempt.local = make(map[netip.Addr]struct{}, len(addresses))
	for _, a := range addresses {
		b.exempt.local[a.Unmap().WithZone("")] = struct{}{}
	}
	for address, s := range b.sources {
		s.isExempt = b.exempt.has(netip.AddrFrom16(address).Unmap())
	}
}

// Counts returns the counts.
func (b *Board) Counts() Counts {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.counts
	c.Gateways, c.Sources = len(b.peers), len(b.sources)
	return c
}

func (b *Board) isOff() bool { return b.options.SharedVerdicts == VerdictsOff }
