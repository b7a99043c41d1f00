package bpf

import "fivetuple/correlator/flow"

// Where the program does otherwise than its definitions say. Each is to go, on one side or the other.
const (
	// quirkPadding: extension headers are also read from behind the packet's end, if the frame goes on there.
	quirkPadding = true
	// quirkRestart: a SYN-ACK that completes the handshake and restarts a sequence that was known does not restart
	// exchange 0 (and 1), so that their distinct bytes are counted from the old sequence.
	quirkRestart = true
	// quirkNoISN: exchange 0 of a direction of whose sequence no SYN was seen starts at 0; what it sent is taken for
	// data of a SYN, and so for exchange 1.
	quirkNoISN = true
	// quirkBackward: a round trip whose end is before its start is one of 268 s, the longest.
	quirkBackward = true
	// quirkNinth: a ninth extension header is looked at, too, before the packet is given up.
	quirkNinth = true
	// quirkNoSYN: exchange 1 of data on a half-open connection whose SYN was not seen starts at a stamp, and not at none.
	quirkNoSYN = true
	// quirkCutOption: an option whose value a capture has cut off is 0 instead of not there.
	quirkCutOption = true
	// quirkFastOpen: a handshake with TCP Fast Open is not counted for the peer that opened it.
	quirkFastOpen = true
	// quirkHalfSpace: a segment that begins above the highest sequence, but ends half the sequence space away, where it
	// does not raise it, opens a hole up to itself: one above the highest, which then takes what lies below for its own.
	quirkHalfSpace = true
	// quirkSegments: of a merged SYN's segments one more than there are can begin below the highest sequence.
	quirkSegments = true
)

// straddles says whether quirkHalfSpace is about a packet, which then is left out: the model cannot follow.
func (m *model) straddles(in *input) bool {
	p, reason := readPacket(in)
	if !quirkHalfSpace || reason != RecordedFlow || p.key.Proto != flow.TCP {
		return false
	}
	half, f := m.halfOpen[p.key], m.flows[p.key]
	return half != nil && half.straddledBy(&p) || f != nil && f.conn.straddledBy(&p)
}

func (c *modelConn) straddledBy(p *wirePacket) bool {
	high := c.Dir[p.dir].SeqHigh
	return below(high, p.seq) && !below(high, p.end())
}
