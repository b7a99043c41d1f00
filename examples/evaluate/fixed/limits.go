// Package fixed is what a plain fixed limit would say: the usual settings of gateways and their hosts, beside which the
// evaluation puts what was learned. Times are nanoseconds of any clock.
package fixed

import "time"

// Limit is one of the limits.
type Limit uint8

// The limits.
const (
	// Requests: requests a second of one address; nginx' limit_req as it is often set, with no burst.
	Requests Limit = iota
	// HalfOpen: handshakes under way on the host; the usual alarm on SYN_RECV.
	HalfOpen
	// Header: a request's head is not complete in time; nginx' client_header_timeout.
	Header
	Limits // how many there are
)

// Values of the limits.
const (
	RequestsPerSecond = 100
	HalfOpenMost      = 100
	HeaderTime        = 60 * time.Second
	// synAckTime is how long Linux keeps an embryonic connection: five repetitions (tcp(7), tcp_synack_retries).
	synAckTime = 63 * time.Second
	// quiet is how long an alarm has to be over before the next is another one.
	quiet = time.Minute
)

// String names a limit.
func (l Limit) String() string {
	return [...]string{
		Requests: "100 requests/s of an address", HalfOpen: "100 half-open on the host", Header: "60 s for a head",
	}[l]
}

// Address is one, IPv4 v4-mapped.
type Address = [16]byte

// Alarm is a limit that was reached.
type Alarm struct {
	Limit Limit
	At    uint64
	Of    Address // zero: the host
}
