package signal

import "fivetuple/correlator/baseline"

const second = 1e6 // microseconds

// slowRequest tells a request that is sent on purpose as slowly as it is accepted (Slowloris, R-U-Dead-Yet): it takes far
// longer than is usual for the route, in many new segments, at fewer bytes per second than Apache's mod_reqtimeout asks for by
// default (MinRate=500). One pause of a client that lost its network is a few segments with one gap: weak, as is all that is
// only longer than usual.
func slowRequest(c *Call) float64 {
	p99 := c.Usual.Quantities[baseline.Receive].P99
	if !c.Usual.Ready || p99 == 0 || c.Receive == 0 {
		return 0
	}
	took := float64(c.Receive)
	times := took / max(p99, 1000)
	if times <= 2 {
		return 0 // as most
	}
	rate := float64(c.Request.Payload) * second / took // bytes per second
	sent := float64(c.Request.Packets) - float64(c.Request.Retransmitted)
	slow := min(
		ramp(times, 3, 6),
		ramp(took, 3*second, 10*second),
		ramp(rate, 500, 250),
		ramp(sent, 4, 8),
	)
	return max(strong*slow, weakSlowRequest*min(ramp(times, 2, 8), ramp(took, second, 5*second)))
}

// tinySegments tells a request that is cut into segments of a few bytes, to keep a parser or an inspection busy (or to get
// past one): at least 24 of them, of less than 48 bytes of payload in the mean, 16 for full strength. TCP joins what is
// written in small pieces (RFC 9293, 3.7.4), and whoever types a request types a short one: the head has to have 128 bytes.
// Of a body that streams, and over HTTP/2, small segments are what the application wrote.
func tinySegments(c *Call) float64 {
	const interactiveHead = 128
	rx := &c.Request
	if c.Head < interactiveHead || rx.Packets == 0 || c.HTTP2 || c.Stream && rx.Payload > c.Head {
		return 0
	}
	mean := float64(rx.Payload) / float64(rx.Packets)
	return strong * min(ramp(float64(rx.Packets), 24, 48), ramp(mean, 48, 16))
}

// zeroWindow tells a client that keeps the gateway from sending: it says that it has no room (RFC 9293, 3.8.6.1: answers to
// window probes), for long, and what it takes meanwhile is next to nothing (slow read). A download that is paused has taken
// much at first; one that stops now and then is weak.
func zeroWindow(c *Call) float64 {
	stops := float64(c.Request.ZeroWindow)
	if stops == 0 || c.Respond == 0 {
		return 0
	}
	took := float64(c.Respond)
	rate := float64(c.Response.Payload) * second / took
	held := min(ramp(stops, 2, 5), ramp(took, 5*second, 20*second), ramp(rate, 2000, 500))
	return max(strong*held, weakZeroWindow*min(ramp(stops, 0, 4), ramp(took, second, 5*second)))
}
