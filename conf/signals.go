package conf

import "fmt"

// Signals are the settings of what is not normal, the section `signals`.
type Signals struct {
	// FlagAbove is the score above which a call is flagged, where its route's plugin configuration has no flag_above.
	FlagAbove float64 `koanf:"flag_above"`
}

// Validate reports every setting that is out of its range, by key, value and range.
func (s Signals) Validate() error {
	if !(s.FlagAbove > 0 && s.FlagAbove <= 1) {
		return fmt.Errorf("flag_above: %v is not above 0, up to 1", s.FlagAbove)
	}
	return nil
}
