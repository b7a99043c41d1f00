package conf

import (
	"errors"
	"fmt"

	"fivetuple/correlator/fleet"
	"fivetuple/correlator/store"
)

// validateFleet reports what is shared without a place to share it, or cannot be told apart from another fleet's.
func (c Config) validateFleet() error {
	var errs []error
	hasRedis := len(c.Redis.Addresses) > 0
	if hasRedis && c.Fleet.Name == "" {
		errs = append(errs, fmt.Errorf("fleet.name: %q with redis.addresses: two fleets without a name would be one", c.Fleet.Name))
	}
	isShared := c.Fleet.SharedVerdicts == fleet.VerdictsObserve || c.Fleet.SharedVerdicts == fleet.VerdictsEnforce
	if !hasRedis && isShared {
		errs = append(errs, fmt.Errorf("fleet.shared_verdicts: %q with redis.addresses %q: there is nobody to share with", c.Fleet.SharedVerdicts, c.Redis.Addresses))
	}
	if c.Fleet.Spread && c.Redis.Mode != store.ModeCluster {
		errs = append(errs, fmt.Errorf("fleet.spread: true with redis.mode %s: only a Cluster has slots", c.Redis.Mode))
	}
	return errors.Join(errs...)
}
