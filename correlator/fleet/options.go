package fleet

import (
	"errors"
	"fmt"
	"slices"

	"fivetuple/correlator/flow"
)

// Options are the settings of what gateways tell each other, the section `fleet` of fivetuple.yaml.
type Options struct {
	// Name is the fleet's; gateways of one name share what they know. It has to be given where there is a Redis.
	Name string `koanf:"name"`
	// Gateway is the name of this one in the fleet; empty is the host's, dots as hyphens.
	Gateway string `koanf:"gateway"`
	// Spread lays baselines and figures into 256 slots of a Redis Cluster instead of one.
	Spread bool `koanf:"spread"`
	// Baselines shares what is normal for routes.
	Baselines bool `koanf:"baselines"`
	// GatewayShare is the most that another gateway gives of a baseline's weight where there are enough of them.
	GatewayShare float64 `koanf:"gateway_share"`
	// SharedVerdicts is what becomes of sources that other gateways hold flagged: VerdictsOff, VerdictsObserve or VerdictsEnforce.
	SharedVerdicts string `koanf:"shared_verdicts"`
	// Quorum is how many gateways have to hold a source flagged before it counts; this one is one of them.
	Quorum int `koanf:"quorum"`
	// Trusted are addresses and prefixes that no other gateway's word counts about.
	Trusted []string `koanf:"trusted"`
}

// The values of Options.SharedVerdicts.
const (
	VerdictsOff     = "off"     // nothing is said, and nothing is heard
	VerdictsObserve = "observe" // what would count is counted, and calls go on
	VerdictsEnforce = "enforce" // what counts is treated as what was flagged here
)

const (
	minGatewayShare      = 0.02 // as baseline's source_share: 50 gateways
	minQuorum, maxQuorum = 2, 16
)

// Default returns the settings of conf/fivetuple.yaml.
func Default() Options {
	return Options{Baselines: true, GatewayShare: 0.2, SharedVerdicts: VerdictsOff, Quorum: 2, Trusted: []string{}}
}

// Validate reports every setting that is out of its range, by key, value and range. Names that are empty are right: what they
// mean is settled where Redis and the host are known.
func (o Options) Validate() error {
	var errs []error
	for _, n := range []struct{ key, name string }{{"name", o.Name}, {"gateway", o.Gateway}} {
		if err := ValidName(n.name); err != nil && n.name != "" {
			errs = append(errs, fmt.Errorf("%s: %w", n.key, err))
		}
	}
	if !(o.GatewayShare >= minGatewayShare && o.GatewayShare <= 1) {
		errs = append(errs, fmt.Errorf("gateway_share: %v is not in %v..1", o.GatewayShare, minGatewayShare))
	}
	if !slices.Contains([]string{VerdictsOff, VerdictsObserve, VerdictsEnforce}, o.SharedVerdicts) {
		errs = append(errs, fmt.Errorf("shared_verdicts: %q is not one of %s, %s, %s",
			o.SharedVerdicts, VerdictsOff, VerdictsObserve, VerdictsEnforce))
	}
	if o.Quorum < minQuorum || o.Quorum > maxQuorum {
		errs = append(errs, fmt.Errorf("quorum: %d is not in %d..%d", o.Quorum, minQuorum, maxQuorum))
	}
	return errors.Join(append(errs, flow.CheckPrefixes("trusted", o.Trusted))...)
}
