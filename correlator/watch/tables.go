package watch

import "fivetuple/correlator/flow"

// Tables are the kernel's tables and the verdicts. Flows, HalfOpen and Sources call take for up to limit entries, going on
// where the last call stopped, and return true at the table's end: the next call begins at its start. What take is given is
// valid until it returns, and may be torn where its lock word is odd.
type Tables interface {
	Flows(limit int, take func(flow.Key, *flow.Record)) (done bool, err error)
	HalfOpen(limit int, take func(flow.Key, *flow.Conn)) (done bool, err error)
	Sources(limit int, take func([16]byte, *flow.Source)) (done bool, err error)
	TableCounts() ([flow.Tables]flow.TableCounts, error)
	Strays() (flow.Strays, error)
	// Verdicts calls take for every verdict there is, whoever gave it.
	Verdicts(take func(flow.VerdictKey, *flow.Verdict)) error
}
