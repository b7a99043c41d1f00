package lab

// sequence follows the sequence numbers of one direction of a flow.
type sequence struct {
	known bool   // high means something
	high  uint32 // highest sequence end seen; SYN and FIN count one, and a pure ACK's own number does not count
	isn   uint32 // of the last SYN
	syn   bool   // isn means something
}

// take moves high and returns whether s brings payload above it. The first segment seen always does, when it
// has payload. A SYN with another ISN starts again, RST is ignored: its sequence number may be anything.
func (q *sequence) take(s Segment) bool {
	if s.Flags&FlagRST != 0 {
		return false
	}
	start := s.Seq
	if s.Flags&FlagSYN != 0 {
		start++
		if !q.syn || q.isn != s.Seq {
			*q = sequence{known: true, high: start, isn: s.Seq, syn: true}
		}
	}
	if !q.known {
		q.known, q.high = true, start
	}
	if s.PayloadLen == 0 && s.Flags&(FlagSYN|FlagFIN) == 0 {
		return false // between two CPUs it may overtake the data that it was sent behind
	}
	end := start + uint32(s.PayloadLen)
	fresh := s.PayloadLen > 0 && above(end, q.high)
	if s.Flags&FlagFIN != 0 {
		end++
	}
	if above(end, q.high) {
		q.high = end
	}
	return fresh
}

// above compares sequence numbers modulo 2^32 (RFC 9293, section 3.4).
func above(a, b uint32) bool { return int32(a-b) > 0 }
