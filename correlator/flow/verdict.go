package flow

// VerdictKey names what a verdict is on. Of a source it is the remote address, with port 0; of a listener the local address
// and port; of the whole host neither.
type VerdictKey struct {
	Address [16]byte
	Port    uint16
	Kind    uint8
	Pad     [5]uint8
}

// The kinds of a VerdictKey.
const (
	VerdictSource   = 0
	VerdictListener = 1
)

// Verdict is a score with its reasons, for a time.
type Verdict struct {
	Since   uint64 // CLOCK_MONOTONIC nanoseconds
	Expires uint64
	Signals uint32 // signal.Set
	Score   uint16 // thousandths
	Origin  uint8
	Pad     uint8
}

// The origins of a Verdict.
const (
	OriginWatcher = 0
	OriginManual  = 1
	OriginFleet   = 2
)
