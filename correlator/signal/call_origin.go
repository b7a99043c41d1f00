package signal

import "fivetuple/correlator/flow"

// ttlShift tells an address whose SYNs come from another distance than before: from one hop more or less up to five. It is
// weak: behind one address of a NAT, or of a load balancer, are many hosts, and roads change.
func ttlShift(c *Call) float64 {
	if c.TTL == 0 || c.TTLBefore == 0 {
		return 0
	}
	shift := hops(c.TTL) - hops(c.TTLBefore)
	return weakTTLShift * ramp(float64(max(shift, -shift)), 1, 5)
}

// hops returns how many routers a packet has passed, if it began with the next of the usual values: 64 (RFC 1700, Linux:
// IPDEFTTL), 128 (Windows), 255.
func hops(ttl uint8) int {
	switch {
	case ttl <= 64:
		return 64 - int(ttl)
	case ttl <= 128:
		return 128 - int(ttl)
	}
	return 255 - int(ttl)
}

// notHTTP tells a connection that began with something that is neither a request line (RFC 9112, 3), HTTP/2's preface (RFC
// 9113, 3.4), TLS (RFC 8446, 5.1) nor a PROXY header, although it ended up as a call.
func notHTTP(c *Call) float64 {
	switch c.First {
	case flow.PayloadOther, flow.PayloadSwitched:
		return strong
	case flow.PayloadHTTP1, flow.PayloadHTTP2, flow.PayloadTLS, flow.PayloadProxyV1, flow.PayloadProxyV2:
	case flow.PayloadNone, flow.PayloadMethod: // not seen, or too little of it
	}
	return 0
}
