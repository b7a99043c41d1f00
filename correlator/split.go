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

// lossTrips is how many round trips a segment that was lost costs at most, if no time-out does: two until a sender probes, and
// one until the answer (RFC 8985, 7.2).
const lossTrips = 3

// roadTime is how long traffic needed on its way: a round trip each time that the window of slow start is full (RFC 5681,
// 3.1), what time-outs took, and round trips for each segment that was lost. What came twice was not: a client that reads
// slowly acknowledges late, and the sender probes with old data.
func roadTime(t *Traffic, rtt uint64) uint64 {
	trips := uint64(bits.Len32(t.Packets / initialWindow))
	if t.WindowUpdates > 0 {
		return trips * rtt // the client had no room: it was waited for
	}
	again := uint64(t.Retransmitted + t.OutOfOrder)
	lost := again - min(again, uint64(t.Duplicates))
	return (trips+lossTrips*lost)*rtt + t.Waited
}

// moveTime takes at most as much from a part as it has, and returns it.
func moveTime(from *uint64, much uint64) uint64 {
	moved := min(*from, much)
	*from -= moved
	return moved
}
