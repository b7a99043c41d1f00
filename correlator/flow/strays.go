package flow

// Strays are packets toward this host since the tables were made that belong to no connection's record.
type Strays struct {
	Unsolicited  uint64 // SYN-ACKs that answer no SYN
	NoConnection uint64 // other TCP segments of a connection that has no record: closed, older than the program, or none
	Other        uint64 // fragments, other protocols, broken headers
}
