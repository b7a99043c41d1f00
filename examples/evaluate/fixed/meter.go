package fixed

import "slices"

// Meter holds traffic against the limits. A connection is named by whoever feeds it. Tick is to be called about once a second.
type Meter[Conn comparable] struct {
	second   uint64 // in which requests are counted
	requests map[Address]int
	halfOpen map[Conn]uint64 // since when
	heads    map[Conn]head
	last     map[key]uint64 // when an alarm was last on
	alarms   []Alarm
}

type key struct {
	limit Limit
	of    Address
}

type head struct {
	since uint64
	of    Address
}

// NewMeter returns one that has seen nothing.
func NewMeter[Conn comparable]() *Meter[Conn] {
	return &Meter[Conn]{
		requests: map[Address]int{}, halfOpen: map[Conn]uint64{}, heads: map[Conn]head{}, last: map[key]uint64{},
	}
}

// Request takes a request that began.
func (m *Meter[Conn]) Request(at uint64, of Address) {
	if second := at / 1e9; second != m.second {
		clear(m.requests)
		m.second = second
	}
	m.requests[of]++
	if m.requests[of] > RequestsPerSecond {
		m.alarm(Requests, at, of)
	}
}

// SYN takes the begin of a handshake; Established, and Gone without that, its end.
func (m *Meter[Conn]) SYN(at uint64, c Conn) {
	if _, ok := m.halfOpen[c]; !ok {
		m.halfOpen[c] = at
	}
	if len(m.halfOpen) > HalfOpenMost {
		m.alarm(HalfOpen, at, Address{})
	}
}

// Established takes the end of a handshake, however it came.
func (m *Meter[Conn]) Established(c Conn) { delete(m.halfOpen, c) }

// HeadBegan takes the first bytes of a request's head.
func (m *Meter[Conn]) HeadBegan(at uint64, c Conn, of Address) {
	if _, ok := m.heads[c]; !ok {
		m.heads[c] = head{at, of}
	}
}

// HeadDone takes its last byte, or the connection's end.
func (m *Meter[Conn]) HeadDone(c Conn) { delete(m.heads, c) }

// Tick looks at what lasts too long.
func (m *Meter[Conn]) Tick(now uint64) {
	for c, since := range m.halfOpen {
		if now > since && now-since > uint64(synAckTime) {
			delete(m.halfOpen, c)
		}
	}
	for c, h := range m.heads {
		if now > h.since && now-h.since > uint64(HeaderTime) {
			m.alarm(Header, now, h.of)
			delete(m.heads, c) // the gateway closes it
		}
	}
}

func (m *Meter[Conn]) alarm(l Limit, at uint64, of Address) {
	k := key{l, of}
	last, ok := m.last[k]
	if !ok || at > last+uint64(quiet) {
		m.alarms = append(m.alarms, Alarm{l, at, of})
	}
	m.last[k] = at
}

// Alarms returns what was found, the first first.
func (m *Meter[Conn]) Alarms() []Alarm { return slices.Clone(m.alarms) }
