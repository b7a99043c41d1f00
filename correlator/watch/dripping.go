package watch

import (
	"time"

	"fivetuple/correlator/flow"
)

const (
	// drippingTime is how long a request trickles in before it is one that does.
	drippingTime = 3 * time.Second
	// drippingRate, in bytes a second beside the largest segment: the slowest modem brings ten times that.
	drippingRate = 100
	// keepAliveEvery is what an honest host has between two keep-alives at least.
	keepAliveEvery = 10 * time.Second
	// opaqueExchanges is up to which exchange an unanswered one is a request where requests can't be read (TLS, HTTP/2): later
	// ones may be messages that want no answer.
	opaqueExchanges = 3
)

// dripping says whether a connection's peer has been bringing a request for some seconds, at a few bytes a second, and
// nothing has answered: slow headers or a slow body. A request whose last piece is long ago is no other thing than one whose
// answer takes long, unless it had trickled in before.
func dripping(r *flow.Record) bool {
	if r.Exchange == 0 || r.Answered != 0 {
		return false
	}
	e := &r.Ring[r.Exchange%flow.Exchanges]
	first, last := e.First[flow.RX].Time(r.Conn.Last), e.Last[flow.RX].Time(r.Conn.Last)
	span := r.Since(e, flow.RX)
	if first == 0 || last < first+uint64(drippingTime) || span.Packets < 2 || !asks(r) {
		return false
	}
	// What was sent again, and keep-alives, are in the payload, but bring no distinct byte.
	headers := int64(span.Bytes-span.Payload) / int64(span.Packets)
	rest := int64(span.Length) - (int64(e.RXMax) - headers)
	if rest <= 0 || float64(rest) > drippingRate*seconds(last-first) {
		return false
	}
	kept := keepAlives(r, &span) * uint64(e.RXGapUS) * uint64(time.Microsecond)
	return last-first >= uint64(drippingTime)+kept
}

// keepAlives returns how many of an exchange's segments may be keep-alives with a byte of old data, as some hosts send them;
// none, if there are more of them than hosts send.
func keepAlives(r *flow.Record, span *flow.Span) uint64 {
	n := uint64(r.Conn.Dir[flow.RX].KeepAlive)
	if n*uint64(keepAliveEvery) > r.Conn.Last-min(r.Conn.ID, r.Conn.Last) {
		return 0
	}
	return min(n, span.Payload-min(uint64(span.Length), span.Payload))
}

// asks says whether the current exchange is, as far as can be told, a request.
func asks(r *flow.Record) bool {
	switch r.Conn.Dir[flow.RX].Begins() {
	case flow.PayloadHTTP1: // but for a WebSocket's messages
		return r.Conn.Dir[flow.TX].Begins() != flow.PayloadSwitched
	case flow.PayloadHTTP2, flow.PayloadTLS, flow.PayloadProxyV1, flow.PayloadProxyV2:
		return r.Exchange <= opaqueExchanges
	case flow.PayloadMethod:
		return true
	case flow.PayloadNone, flow.PayloadOther, flow.PayloadSwitched:
	}
	return false
}
