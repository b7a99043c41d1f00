package outcome

// Benign is ordinary traffic, and the false alarms that it raised. A flag is a call that is flagged, or a verdict that begins
// on an address or a listener.
type Benign struct {
	Name    string  `json:"name"`
	Where   Place   `json:"where"`
	What    string  `json:"what"`
	Sources int     `json:"sources"`
	Seconds float64 `json:"seconds"` // of its own time
	Calls   int     `json:"calls"`
	// Flags are all, ColdFlags those of them before the first baseline was ready.
	Flags     int            `json:"flags"`
	ColdCalls int            `json:"cold_calls"`
	ColdFlags int            `json:"cold_flags"`
	Signals   map[string]int `json:"signals,omitempty"` // flags by their signals
	Refused   int            `json:"refused"`           // by packet-guard, mode enforce
	Fixed     map[string]int `json:"fixed_limits"`      // alarms of fixed limits
}

// PerHour returns how many flags there are an hour.
func (b *Benign) PerHour() float64 {
	if b.Seconds == 0 {
		return 0
	}
	return float64(b.Flags) * 3600 / b.Seconds
}

// FixedAlarms returns the alarms of all fixed limits.
func (b *Benign) FixedAlarms() (n int) {
	for _, alarms := range b.Fixed {
		n += alarms
	}
	return n
}

// Flag counts a flag by its signals.
func (b *Benign) Flag(signals string, cold bool) {
	b.Flags++
	if cold {
		b.ColdFlags++
	}
	if b.Signals == nil {
		b.Signals = map[string]int{}
	}
	b.Signals[signals]++
}
