// Package outcome is what an evaluation finds: attacks that were or were not found, and false alarms.
package outcome

import (
	"slices"

	"fivetuple/correlator/flow"
)

// Attack is one attack, and what was found of it.
type Attack struct {
	Name     string   `json:"name"`
	Kind     string   `json:"kind"`
	Where    Place    `json:"where"`
	Rate     string   `json:"rate"`
	Sources  int      `json:"sources"`
	Duration float64  `json:"duration_seconds"` // from its first to its last packet
	Twin     string   `json:"benign_twin"`      // what separates it from honest traffic
	Found    bool     `json:"found"`
	Seconds  float64  `json:"seconds"` // from its first packet to the first flag; of trials the median
	Trials   int      `json:"trials,omitempty"`
	Worst    float64  `json:"worst_seconds,omitempty"` // of trials
	Signals  []string `json:"signals"`                 // of all flags, in the order of the first
	// Short: it lasted less than ShortTime; how soon it was found is then not judged.
	Short bool    `json:"short"`
	Fixed []Fixed `json:"fixed_limits"` // what fixed limits say of the same packets
	// Honest is what a client beside it got.
	Honest *Honest `json:"honest,omitempty"`
}

// Saw notes what a flag was on, and for which signals.
func (a *Attack) Saw(on, signals string) {
	if name := on + ": " + signals; !slices.Contains(a.Signals, name) {
		a.Signals = append(a.Signals, name)
	}
}

// On names what a verdict is on, beside calls.
func On(key flow.VerdictKey) string {
	if key.Kind == flow.VerdictListener {
		return "listener"
	}
	return "address"
}

// ShortTime is in seconds: a look a second says little about how soon a shorter attack is found.
const ShortTime = 3

// Place is where an outcome comes from.
type Place string

// The places.
const (
	Capture   Place = "capture"   // the kernel program, replaying a capture by its own time
	Live      Place = "live"      // agent and runner, in network namespaces
	Simulated Place = "simulated" // watcher, judge and guard over tables that a simulation fills
)

// Fixed is what one fixed limit says of an attack.
type Fixed struct {
	Limit   string  `json:"limit"`
	Found   bool    `json:"found"`
	Seconds float64 `json:"seconds"`
}

// Honest are the calls of honest clients beside an attack.
type Honest struct {
	Calls   int `json:"calls"`
	Flagged int `json:"flagged"` // calls, and verdicts on their addresses
	Refused int `json:"refused"`
	Failed  int `json:"failed"` // without an answer: the gateway had no room
}

// FirstFixed returns the limit that says it first.
func (a *Attack) FirstFixed() (first Fixed) {
	for _, f := range a.Fixed {
		if f.Found && (!first.Found || f.Seconds < first.Seconds) {
			first = f
		}
	}
	return first
}
