package correlator

// Split says where a call's time went, in nanoseconds. The parts are those between the call's moments, one after the other:
// they add up to Total, exactly.
type Split struct {
	// Network is what the round trips took that the request and the response needed on their way at least, what
	// retransmissions cost, and the acknowledgement of the last byte.
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
