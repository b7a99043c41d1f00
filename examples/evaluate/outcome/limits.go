package outcome

import "fivetuple/examples/evaluate/fixed"

// FixedLimits returns what each fixed limit says of an attack that began at a time of the alarms' clock.
func FixedLimits(alarms []fixed.Alarm, begin uint64) []Fixed {
	all := make([]Fixed, fixed.Limits)
	for l := range fixed.Limits {
		all[l].Limit = l.String()
	}
	for _, a := range alarms {
		if f := &all[a.Limit]; !f.Found && a.At >= begin {
			f.Found, f.Seconds = true, float64(a.At-begin)/1e9
		}
	}
	return all
}
