package flow

import "errors"

// Table is what the kernel's records are read from. It is safe for use by many goroutines.
type Table interface {
	// Lookup fills in the record of a TCP connection; on an error, which is one of those below or wraps one, the
	// record's content is undefined.
	Lookup(Key, *Record) error
	// HasUDP says whether there is a UDP flow of these addresses and ports, whatever the key's protocol.
	HasUDP(Key) bool
}

// Why a table has no record to give.
var (
	ErrNotFound = errors.New("no record of this connection")
	ErrNoTable  = errors.New("no tables: is the agent running, and may this user read its pins?")
	ErrLayout   = errors.New("the agent's tables have another layout: agent and runner are of different versions")
	ErrStale    = errors.New("the agent has given no sign of life lately")
	ErrBusy     = errors.New("the record was being written at every look")
)
