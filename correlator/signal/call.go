package signal

import (
	"fivetuple/correlator/baseline"
	"fivetuple/correlator/flow"
)

// Call are the figures that a call is judged by. One that is not known, or not the call's alone, is 0: then the signals that
// need it are, too. Times are in microseconds.
type Call struct {
	Request, Response Traffic
	Head              uint64       // bytes of the request's head
	Receive           uint64       // from the request's first to its last packet
	Wait              uint64       // from there to the plugin
	Respond           uint64       // from the response's first packet to its last, or to its acknowledgement
	RTT               uint64       // smoothed, or the handshake's
	First             flow.Payload // what the connection began with
	TTL, TTLBefore    uint8        // of the connection's SYN, and of the same source's SYN before it
	HTTP2             bool         // segments are those of all its streams
	// Stream: the body has no declared length, or the connection changed its protocol, so that small segments may be the
	// application's own.
	Stream bool
	Usual  *baseline.Usual // never nil
}

// Traffic is what one direction carried: segments with payload.
type Traffic struct {
	Packets       uint32
	Retransmitted uint32
	OutOfOrder    uint32
	ZeroWindow    uint32
	Bytes         uint64 // IP bytes
	Payload       uint64 // retransmitted data counts again
}

// ofCall lists the signals of a call, each with what says its strength.
func ofCall() [10]struct {
	signal   Signal
	strength func(*Call) float64
} {
	return [...]struct {
		signal   Signal
		strength func(*Call) float64
	}{
		{Retransmit, retransmit},
		{OutOfOrder, outOfOrder},
		{SlowRequest, slowRequest},
		{TinySegments, tinySegments},
		{Size, size},
		{Wait, wait},
		{RTT, rtt},
		{ZeroWindow, zeroWindow},
		{TTLShift, ttlShift},
		{NotHTTP, notHTTP},
	}
}

// AddCall puts in what is not normal about a call. A strength that is there already stays, if it is higher.
func (f *Facts) AddCall(c *Call) {
	for _, s := range ofCall() {
		f.Add(s.signal, s.strength(c))
	}
}

// What a signal can be worth. The weak ones also happen to honest clients, on bad roads and with large bodies; all of them at
// once, 1 - (1-0.15)(1-0.1)..., stay below the default of 0.8 above which a score is a flag. A strong one is a flag by itself, and enough for packet-guard's default of 0.9.
const (
	strong = 0.95

	weakRetransmit  = 0.2
	weakOutOfOrder  = 0.15
	weakSlowRequest = 0.25
	weakSize        = 0.25
	weakWait        = 0.1
	weakRTT         = 0.25
	weakZeroWindow  = 0.1
	weakTTLShift    = 0.1
)

// ramp is 0 up to one value and 1 from another on, which may be the smaller one.
func ramp(x, from, to float64) float64 {
	return min(max((x-from)/(to-from), 0), 1)
}

func share(part, whole uint32) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
