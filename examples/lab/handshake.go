package lab

// Handshake has the times of a flow's first connection set-up, CLOCK_MONOTONIC in nanoseconds; 0 is "not
// seen".
type Handshake struct {
	SYN     int64 // first SYN without ACK
	LastSYN int64 // last SYN without ACK before the SYN-ACK
	SYNACK  int64 // first SYN-ACK
	ACK     int64 // first ACK of the SYN-ACK's ISN + 1 from the side that opened
	// FromRemote says that the remote side opened the connection: it sent the first SYN or, where none was
	// seen, got the first SYN-ACK.
	FromRemote bool

	isn uint32 // of the SYN-ACK
}

func (h *Handshake) take(s Segment) {
	const kind = FlagSYN | FlagACK | FlagRST
	switch s.Flags & kind {
	case FlagSYN:
		if h.SYN == 0 {
			h.SYN = s.Time
			h.FromRemote = s.RX
		}
		if h.SYNACK == 0 {
			h.LastSYN = s.Time
		}
	case FlagSYN | FlagACK:
		if h.SYNACK == 0 {
			h.SYNACK, h.isn = s.Time, s.Seq
			if h.SYN == 0 {
				h.FromRemote = !s.RX
			}
		}
	case FlagACK:
		if h.SYNACK != 0 && h.ACK == 0 && s.RX == h.FromRemote && s.Ack == h.isn+1 {
			h.ACK = s.Time
		}
	}
}
