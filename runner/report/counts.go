package report

import (
	"encoding/json"
	"math/bits"

	"fivetuple/correlator"
	"fivetuple/correlator/signal"
)

// Counts are what is counted of a route's finished calls. Sums stay at their largest value instead of going over.
type Counts struct {
	Calls uint64 `json:"calls"`
	// Cut: their end was not seen. Timed: their figures are exact and whole, and they have times.
	Cut   uint64 `json:"cut,omitempty"`
	Timed uint64 `json:"timed,omitempty"`
	// Match is how the figures were found, by correlator.Match: none, connection, shared, exchange.
	Match    [correlator.MatchExchange + 1]uint64 `json:"match"`
	Request  Direction                            `json:"request"`
	Response Direction                            `json:"response"`
	Flagged  uint64                               `json:"flagged,omitempty"`
	// Flags are the flagged calls by signal: a call counts once for each of its own.
	Flags Flags `json:"flags,omitzero"`
}

// Direction is what one direction carried: segments with payload, in IP bytes.
type Direction struct {
	Packets       uint64 `json:"packets"`
	Bytes         uint64 `json:"bytes"`
	Payload       uint64 `json:"payload"`
	Retransmitted uint64 `json:"retransmitted,omitempty"`
}

// add counts a call.
func (c *Counts) add(r *correlator.CallRecord) {
	c.Calls++
	c.Match[r.Match]++
	c.Request.add(&r.Request)
	c.Response.add(&r.Response)
	if r.Cut {
		c.Cut++
	}
	if hasTimes(r) {
		c.Timed++
	}
	if r.Flagged {
		c.Flagged++
		for s := range r.Facts.Verdict(signal.All).Signals.Each {
			c.Flags[s]++
		}
	}
}

func (d *Direction) add(t *correlator.Traffic) {
	d.Packets += uint64(t.Packets)
	d.Bytes += t.Bytes
	d.Payload += t.Payload
	d.Retransmitted += uint64(t.Retransmitted)
}

// merge adds what others have counted, which may be any numbers.
func (c *Counts) merge(o *Counts) {
	ours, theirs := c.numbers(), o.numbers()
	for i, n := range ours {
		*n = sum(*n, *theirs[i])
	}
	for s := range c.Flags {
		c.Flags[s] = sum(c.Flags[s], o.Flags[s])
	}
}

// numbers returns all but those by signal.
func (c *Counts) numbers() []*uint64 {
	all := []*uint64{&c.Calls, &c.Cut, &c.Timed, &c.Flagged}
	for _, d := range []*Direction{&c.Request, &c.Response} {
		all = append(all, &d.Packets, &d.Bytes, &d.Payload, &d.Retransmitted)
	}
	for m := range c.Match {
		all = append(all, &c.Match[m])
	}
	return all
}

func sum(a, b uint64) uint64 {
	total, over := bits.Add64(a, b, 0)
	return total | -over
}

// Flags are numbers by signal. In JSON they are an object with the signals' names, of those that there are.
type Flags [signal.Signals]uint64

// MarshalJSON implements json.Marshaler.
func (f Flags) MarshalJSON() ([]byte, error) {
	named := make(map[string]uint64)
	for s, n := range f {
		if n > 0 {
			named[signal.Signal(s).String()] = n
		}
	}
	return json.Marshal(named)
}

// UnmarshalJSON implements json.Unmarshaler. Signals without a name here are those of a newer program, and left out.
func (f *Flags) UnmarshalJSON(text []byte) error {
	var named map[string]uint64
	if err := json.Unmarshal(text, &named); err != nil {
		return err
	}
	*f = Flags{}
	for name, n := range named {
		if s, ok := signal.Parse(name); ok {
			f[s] = n
		}
	}
	return nil
}
