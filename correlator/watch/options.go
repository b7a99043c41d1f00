package watch

import (
	"errors"
	"fmt"
	"time"

	"fivetuple/correlator/flow"
)

// Options are the watcher's settings, the section `watch` of fivetuple.yaml.
type Options struct {
	// Enabled switches the watcher on.
	Enabled bool `koanf:"enabled"`
	// Keep is how long a verdict stays in force after its reason was last seen.
	Keep time.Duration `koanf:"keep"`
	// Flows is how many entries of the flow table are read in a second: it bounds the cost.
	Flows int `koanf:"flows"`
	// Trusted are addresses and prefixes that are never judged, like load balancers in front.
	Trusted []string `koanf:"trusted"`
}

// Bounds of the settings, and of what is kept.
const (
	minKeep, maxKeep   = 10 * time.Second, time.Hour
	minFlows, maxFlows = 1024, 1 << 20
	// maxSources is how many addresses have a window; when it is full, one at random makes room for the next.
	maxSources = 1 << 16
	// maxListeners is how many listeners a turn counts; when it is full, more are counted with the host only.
	maxListeners = 1 << 10
	// maxFlags is how many verdicts of the watcher are in force; when it is full, more are refused.
	maxFlags = 1 << 14
	// halfOpenSlice and sourceSlice are how many entries of those tables are read in a second.
	halfOpenSlice, sourceSlice = 1 << 14, 1 << 14
)

// Validate reports the settings that are out of their range, by key, value and range.
func (o Options) Validate() error {
	var errs []error
	if o.Keep < minKeep || o.Keep > maxKeep {
		errs = append(errs, fmt.Errorf("keep: %v is not in %v..%v", o.Keep, minKeep, maxKeep))
	}
	if o.Flows < minFlows || o.Flows > maxFlows {
		errs = append(errs, fmt.Errorf("flows: %d is not in %d..%d entries", o.Flows, minFlows, maxFlows))
	}
	return errors.Join(append(errs, flow.CheckPrefixes("trusted", o.Trusted))...)
}
