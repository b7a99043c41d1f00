package flow

// The directions of a record: toward this host, and from it.
const (
	RX = 0
	TX = 1
)

// Exchanges is how many exchanges a record holds: the current one and the three before it.
const Exchanges = 4

// Direction is what one direction of a connection did. Its twin, with the definition of every figure, is struct
// direction in bpf/record.h. Bytes are IP bytes; counts are of segments.
type Direction struct {
	Packets        uint64
	Bytes          uint64
	Payload        uint64
	Late           uint64
	DataPackets    uint32
	DataHeaders    uint32
	SeqHigh        uint32
	DataHigh       uint32
	AckHigh        uint32
	Ifindex        uint32
	Flags          uint16
	Known          uint8
	FirstLen       uint8
	TTL            uint8
	Holes          uint8
	HolesForgotten uint16
	ISN            uint32
	Retransmitted  uint32
	OutOfOrder     uint32
	ZeroWindow     uint32
	KeepAlive      uint32
	Contended      uint16
	Waited         uint16
	FirstPayload   [16]uint8
	SYNMSS         uint16
	SYNWscale      uint8
	SYNOptions     uint8
	Acked          uint32
}

// First returns the first payload bytes that were seen in this direction, at most 16; none where the agent keeps none
// (agent.first_payload: off). What they begin is known all the same: Begins.
func (d *Direction) First() []byte {
	if d.Known&KnownKind != 0 {
		return nil
	}
	return d.FirstPayload[:min(int(d.FirstLen), len(d.FirstPayload))]
}

// Begins returns what this direction's first payload begins.
func (d *Direction) Begins() Payload {
	if d.Known&KnownKind != 0 {
		return Payload(d.FirstPayload[0])
	}
	return Classify(d.First())
}

// Lacking returns how many segments were counted without their sequence numbers, because they met the lock too often: the
// exchanges since then may lack them. The number is mod 2^16.
func (d *Direction) Lacking() uint16 { return d.Contended + uint16(d.Late>>48) }

// AckedTime returns when this direction last acknowledged new data of the other, to a microsecond, if that was within 73
// minutes before another moment, which is the connection's last packet; 0 if it never did.
func (d *Direction) AckedTime(near uint64) uint64 {
	if d.Known&KnownAck == 0 {
		return 0
	}
	const shift = 10
	ago := uint32(near>>shift) - d.Acked
	return (near>>shift - uint64(ago)) << shift
}

// Bits of Direction.Known: which of the sequence numbers are.
const (
	KnownISN = 1 << 0
	KnownSeq = 1 << 1
	KnownAck = 1 << 2
	// KnownOpener: it sent a SYN without ACK.
	KnownOpener = 1 << 3
	// KnownAckedISN: the ISN is what the peer's SYN-ACK acknowledged; no SYN was seen yet.
	KnownAckedISN = 1 << 4
	// KnownKind: FirstPayload has no byte of the payload, but its Payload in the first place.
	KnownKind = 1 << 5
	// KnownLacking: more may have been sent than SeqHigh says, until it advances again.
	KnownLacking = 1 << 6
)

// Bits of Direction.SYNOptions: which options the SYN had.
const (
	SYNMSS        = 1 << 0
	SYNWscale     = 1 << 1
	SYNSACK       = 1 << 2
	SYNTimestamps = 1 << 3
)

// Conn is a connection before its first exchange, or a UDP flow: struct conn in bpf/record.h. Times are CLOCK_MONOTONIC
// nanoseconds, 0 for what was not seen.
type Conn struct {
	Lock   uint32
	Tag    uint32
	State  State
	Origin Origin
	Moved  uint16
	// RXWindow is that of the last rx segment; WindowUpdates counts those that only opened it.
	RXWindow      uint16
	WindowUpdates uint16
	ID            uint64
	Last          uint64
	SYN           uint64
	SYNACK        uint64
	ACK           uint64
	Dir           [2]Direction
}

// OtherSYN is a SYN or SYN-ACK with another ISN than its direction's: struct other_syn in bpf/record.h. Time 0: there is
// none.
type OtherSYN struct {
	Time    uint64
	ISN     uint32
	MSS     uint16
	Wscale  uint8
	Options uint8
}

// Handshake is a connection in its handshake: struct handshake in bpf/record.h.
type Handshake struct {
	Conn  Conn
	Other [2]OtherSYN
	RTT   RoundTrip
}

// State is where a connection is in its life.
type State uint8

// The states of a connection.
const (
	StateHalfOpen State = iota
	StateOpen
	StateClosed
	StatePromoted // a half-open entry that has moved to the flow table
)

// String returns the state's name.
func (s State) String() string {
	names := [...]string{"half-open", "open", "closed", "promoted"}
	if int(s) < len(names) {
		return names[s]
	}
	return "unknown"
}

// Origin says how a record began.
type Origin uint8

// The origins of a record.
const (
	OriginHandshake Origin = iota
	OriginMidstream        // the connection is older than the program
)

// Exchange is one exchange: struct exchange in bpf/record.h. The arrays are indexed by RX and TX; Payload, Packets,
// Headers and Seq are the flow's running figures at its start.
type Exchange struct {
	Payload [2]uint64
	Packets [2]uint32
	Headers [2]uint32
	Seq     [2]uint32
	First   [2]Stamp
	Last    [2]Stamp
	RXGapUS uint32
	RXMin   uint16
	RXMax   uint16
}

// RoundTrip is the round-trip time to the peer: struct round_trip in bpf/record.h.
type RoundTrip struct {
	Sent        uint32
	Newest      uint32
	Seq         uint32
	SmoothedUS8 uint32
	VarUS4      uint32
	MinUS       uint32
}

// Record is the record of a TCP connection: struct flow_record in bpf/record.h.
type Record struct {
	Conn     Conn
	RTT      RoundTrip
	Exchange uint32
	Answered uint8
	Reopened uint8
	// Duplicates are tx segments that the peer said it had already.
	Duplicates uint16
	Ring       [Exchanges]Exchange
}

// At returns the exchange with the given number, and false if it is not, or no longer, in the record.
func (r *Record) At(number uint32) (*Exchange, bool) {
	if number > r.Exchange || r.Exchange-number >= Exchanges {
		return nil, false
	}
	return &r.Ring[number%Exchanges], true
}

// Oldest returns the number of the oldest exchange that the record still holds.
func (r *Record) Oldest() uint32 {
	return r.Exchange - min(r.Exchange, Exchanges-1)
}

// Span are figures of one direction's segments with payload over a run of exchanges.
type Span struct {
	Packets uint32
	Bytes   uint64 // IP bytes
	Payload uint64 // retransmitted data counts again
	Length  uint32 // distinct bytes of sequence, mod 2^32
}

// Since returns a direction's figures from the start of an exchange until now.
func (r *Record) Since(e *Exchange, dir int) Span {
	d := &r.Conn.Dir[dir]
	payload := d.Payload - e.Payload[dir]
	return Span{
		Packets: d.DataPackets - e.Packets[dir],
		Bytes:   payload + uint64(d.DataHeaders-e.Headers[dir]),
		Payload: payload,
		Length:  d.DataHigh - e.Seq[dir],
	}
}

// RTT returns the peer's round-trip time in microseconds: smoothed, or the minimum before there is a smoothed one; false
// if none was measured yet.
func (t RoundTrip) RTT() (us uint32, ok bool) {
	if t.SmoothedUS8 != 0 {
		return max(t.SmoothedUS8/8, 1), true
	}
	return t.MinUS, t.MinUS != 0
}
