package main

import (
	"cmp"
	"net/netip"
	"strings"
)

// pair is a 5-tuple whichever side it is seen from: the smaller end first.
type pair struct {
	proto string // "tcp" or "udp"
	x, y  netip.AddrPort
}

func newPair(proto string, x, y netip.AddrPort) pair {
	if y.Compare(x) < 0 {
		x, y = y, x
	}
	return pair{strings.ToLower(proto), x, y}
}

// reading is what one side of the comparison says of a flow: the oracle, or the replay.
type reading struct {
	pair        pair
	initiator   netip.AddrPort // the oracle's a, the replay's remote side
	a, b        side           // from the initiator (rx), and to it (tx)
	exchanges   uint64
	turns       turns    // the replay's
	synToSYNACK *float64 // microseconds; nil: one of the two was not seen
	synackToACK *float64
}

// turns are the directions of the first and the last new payload, "rx" or "tx"; empty: there was none.
type turns struct {
	First string `json:"first"`
	Last  string `json:"last"`
}

// side is what one direction did.
type side struct {
	packets, bytes, payload    uint64
	flags                      uint64
	first                      string // hexadecimal
	old, zeroWindow, keepAlive uint64 // old: retransmitted and out of order
}

// turned returns the same flow seen from its other side. Exchanges have no other side.
func (r reading) turned() reading {
	r.a, r.b = r.b, r.a
	return r
}

// plus adds a later generation of the same 5-tuple. The oracle has one flow for all: handshake and first payload are those
// of the first that has them.
func (r reading) plus(later reading) reading {
	r.a, r.b = r.a.plus(later.a), r.b.plus(later.b)
	r.exchanges += later.exchanges
	if r.turns.Last == "rx" && later.turns.First == "rx" { // to the oracle one run, and so one exchange
		r.exchanges--
	}
	if later.turns.Last != "" {
		r.turns.First, r.turns.Last = cmp.Or(r.turns.First, later.turns.First), later.turns.Last
	}
	if r.synToSYNACK == nil {
		r.synToSYNACK = later.synToSYNACK
	}
	if r.synackToACK == nil {
		r.synackToACK = later.synackToACK
	}
	return r
}

func (s side) plus(later side) side {
	s.packets += later.packets
	s.bytes += later.bytes
	s.payload += later.payload
	s.flags |= later.flags
	if s.first == "" {
		s.first = later.first
	}
	s.old += later.old
	s.zeroWindow += later.zeroWindow
	s.keepAlive += later.keepAlive
	return s
}
