package signal

// retransmit tells a client that sends the same data again and again. The kernel's figure has only what had already arrived
// here (RFC 9293, 3.10.7.4: outside the window; bpf/record.h: retransmitted): a segment that was lost on its way here comes
// once, so that an honest client shows up by lost acknowledgements and spurious time-outs (RFC 5682) only. A link that
// doubles each packet makes the share 1/2; that alone is no flag.
//
// A storm wants both a large share and a large number: a sender on a dead road sends one segment 15 times (Linux:
// tcp_retries2). What the gateway had to send again is the road's, and weak.
func retransmit(c *Call) float64 {
	rx, tx := &c.Request, &c.Response
	storm := min(ramp(share(rx.Retransmitted, rx.Packets), 0.5, 0.65), ramp(float64(rx.Retransmitted), 16, 48))
	return max(strong*storm, weakRetransmit*max(lossy(rx.Retransmitted, rx.Packets), lossy(tx.Retransmitted, tx.Packets)))
}

// outOfOrder tells segments of the client that came late, into a hole (RFC 4737, 3.3: reordered; or lost before and sent
// again). Roads do that.
func outOfOrder(c *Call) float64 {
	return weakOutOfOrder * lossy(c.Request.OutOfOrder, c.Request.Packets)
}

// lossy says how bad a road is, by some of the segments on it: from 5 % on, to 30 %, and not by so few that it says nothing.
func lossy(part, whole uint32) float64 {
	return min(ramp(share(part, whole), 0.05, 0.3), ramp(float64(part), 2, 8))
}
