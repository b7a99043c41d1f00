package correlator

import "math/bits"

// Split says where a call's time went, in nanoseconds. The parts are those between the call's moments, one after the other:
// they add up to Total, exactly.
type Split struct {
	// Network is what the round trips took that the request and the response needed at least on their way (RFC 6928 gives a
	// sender ten segments at first, and each round trip doubles them), what retransmissions cost, and the acknowledgement of
	// the last byte.
	Network uint64
	// Arriving is the rest of the time from the first to the last packet of the request: the client was slow to send.
	Arriving uint64
	// Waiting is from the request's last packet until the plugin ran: the gateway was slow.
	Waiting uint64
	// Serving is from there to the first packet of the response: the gateway and the upstream.
	Serving uint64
	// Leaving is the rest of the time from the first to the last packet of the response: the client was slow to read, or the
	// upstream to write.
	Leaving uint64
	// Total is from the first packet of the request to the acknowledgement of the response's last byte.
	Total uint64
}

// Part is a part of a call's time.
type Part string

// The parts.
const (
	PartNetwork  Part = "network"
	PartArriving Part = "arriving"
	PartWaiting  Part = "waiting"
	PartServing  Part = "serving"
	PartLeaving  Part = "leaving"
)

// Largest returns the part that took the longest, and "" for a call without times.
func (s *Split) Largest() Part {
	largest, took := Part(""), uint64(0)
	for _, p := range []struct {
		part Part
		took uint64
	}{
		{PartNetwork, s.Network}, {PartArriving, s.Arriving}, {PartWaiting, s.Waiting}, {PartServing, s.Serving}, {PartLeaving, s.Leaving},
	} {
		if p.took > took {
			largest, took = p.part, p.took
		}
	}
	return largest
}

// split divides the time of a call that has been given its figures and moments. A moment that was not seen, or lies before
// the one before it (the plugin runs while a body arrives; a response begins before the request's end), takes no time.
func split(record *CallRecord) Split {
	at := &record.At
	if at.FirstRequest == 0 {
		return Split{}
	}
	last := at.FirstRequest
	until := func(moment uint64) uint64 {
		if moment <= last {
			return 0
		}
		took := moment - last
		last = moment
		return took
	}
	requestEnd := at.LastRequest
	if at.FirstResponse != 0 {
		requestEnd = min(requestEnd, at.FirstResponse)
	}
	var s Split
	s.Arriving = until(requestEnd)
	waited := at.Plugin
	if at.FirstResponse != 0 {
		waited = min(waited, at.FirstResponse)
	}
	s.Waiting = until(waited)
	s.Serving = until(at.FirstResponse)
	s.Leaving = until(at.LastResponse)
	s.Network = until(at.Acknowledged)
	s.Total = last - at.FirstRequest
	rtt := uint64(record.RTT.Now) * 1000
	s.Network += moveTime(&s.Arriving, roadTime(&record.Request, rtt))
	s.Network += moveTime(&s.Leaving, roadTime(&record.Response, rtt))
	return s
}

// initialWindow is how many segments a sender may have on their way at first (RFC 6928).
const initialWindow = 10

// lossTime is what a segment that was lost costs beside a round trip: Linux's shortest retransmission time-out
// (TCP_RTO_MIN, include/net/tcp.h), in nanoseconds.
const lossTime = 200_000_000

// roadTime is how long traffic needed on its way: a round trip each time that the window of slow start is full (RFC 5681,
// 3.1), and for each segment that was lost.
func roadTime(t *Traffic, rtt uint64) uint64 {
	lost := uint64(t.Retransmitted + t.OutOfOrder)
	if t.WindowUpdates > 0 {
		lost = 0 // while a reader has no room the sender probes with old data (RFC 8985, 7.3): nothing was lost
	}
	return uint64(bits.Len32(t.Packets/initialWindow))*rtt + lost*(rtt+lossTime)
}

// moveTime takes at most as much from a part as it has, and returns it.
func moveTime(from *uint64, much uint64) uint64 {
	moved := min(*from, much)
	*from -= moved
	return moved
}
