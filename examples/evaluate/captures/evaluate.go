package captures

import (
	"fmt"
	"io"

	"fivetuple/correlator/watch"
	"fivetuple/examples/evaluate/outcome"
)

// Evaluate replays a capture, and adds what was found to a report. Packets that cannot be replayed are named in the log.
func (c *Capture) Evaluate(o watch.Options, to *outcome.Report, log io.Writer) error {
	f, err := play(c.Path, o)
	if err != nil {
		return err
	}
	if f.skipped != nil {
		fmt.Fprintf(log, "%s: %v\n", c.Name, f.skipped)
	}
	if c.Label == Attack {
		to.Attacks = append(to.Attacks, c.attack(&f))
	} else {
		to.Benign = append(to.Benign, c.ordinary(&f))
	}
	return nil
}

func (c *Capture) attack(f *found) outcome.Attack {
	a := outcome.Attack{
		Name: c.Name, Kind: c.Kind(), Where: outcome.Capture, Rate: fmt.Sprintf("%d packets", f.frames), Sources: len(f.sources),
		Duration: float64(f.last-f.first) / 1e9, Found: len(f.events) > 0, Fixed: outcome.FixedLimits(f.meter.Alarms(), f.first),
	}
	a.Short = a.Duration < outcome.ShortTime
	for i, e := range f.events {
		if i == 0 {
			a.Seconds = float64(e.at-f.first) / 1e9
		}
		a.Saw(e.on, e.signals)
	}
	return a
}

func (c *Capture) ordinary(f *found) outcome.Benign {
	b := outcome.Benign{
		Name: c.Name, Where: outcome.Capture, Sources: len(f.sources), Seconds: float64(f.last-f.first) / 1e9, Fixed: map[string]int{},
	}
	for _, e := range f.events {
		b.Flag(e.on+": "+e.signals, false)
	}
	for _, a := range f.meter.Alarms() {
		b.Fixed[a.Limit.String()]++
	}
	return b
}
