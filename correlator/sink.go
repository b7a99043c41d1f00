package correlator

// Sink takes the records of calls that have ended. It is called on the request path, under a lock: it must not wait, and
// must copy what it keeps.
type Sink func(*CallRecord)
