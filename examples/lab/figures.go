package lab

// Figures are sums over the segments with payload of one exchange or of several; pure ACKs are not in them,
// retransmissions are. Bytes are IP bytes, times are CLOCK_MONOTONIC in nanoseconds.
type Figures struct {
	RXPackets, RXBytes, RXPayload uint64
	TXPackets, TXBytes, TXPayload uint64
	// RXMin and RXMax are the IP bytes of the smallest and the largest rx segment; 0 without one.
	RXMin, RXMax int
	// RXGap is the largest time between two rx segments that follow each other in one exchange.
	RXGap int64
	// The times of the first and the last segment each way; 0 without one.
	RXFirst, RXLast, TXFirst, TXLast int64
}

func (f *Figures) addRX(s Segment) {
	if f.RXPackets == 0 {
		f.RXMin, f.RXFirst = s.IPBytes, s.Time
	} else {
		f.RXGap = max(f.RXGap, s.Time-f.RXLast)
	}
	f.RXPackets++
	f.RXBytes += uint64(s.IPBytes)
	f.RXPayload += uint64(s.PayloadLen)
	f.RXMin, f.RXMax = min(f.RXMin, s.IPBytes), max(f.RXMax, s.IPBytes)
	f.RXLast = s.Time
}

func (f *Figures) addTX(s Segment) {
	if f.TXPackets == 0 {
		f.TXFirst = s.Time
	}
	f.TXPackets++
	f.TXBytes += uint64(s.IPBytes)
	f.TXPayload += uint64(s.PayloadLen)
	f.TXLast = s.Time
}

// join adds the figures of a later exchange.
func (f *Figures) join(later Figures) {
	if later.RXPackets > 0 {
		if f.RXPackets == 0 {
			f.RXMin, f.RXFirst = later.RXMin, later.RXFirst
		}
		f.RXMin, f.RXMax = min(f.RXMin, later.RXMin), max(f.RXMax, later.RXMax)
		f.RXGap, f.RXLast = max(f.RXGap, later.RXGap), later.RXLast
	}
	if later.TXPackets > 0 {
		if f.TXPackets == 0 {
			f.TXFirst = later.TXFirst
		}
		f.TXLast = later.TXLast
	}
	f.RXPackets += later.RXPackets
	f.RXBytes += later.RXBytes
	f.RXPayload += later.RXPayload
	f.TXPackets += later.TXPackets
	f.TXBytes += later.TXBytes
	f.TXPayload += later.TXPayload
}
