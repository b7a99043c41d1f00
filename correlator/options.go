package correlator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Options are the settings of the correlation, the section `correlator` of fivetuple.yaml.
type Options struct {
	// Tuple is where a call's 5-tuple is looked for first: TupleHeader, TupleMapVariable or TupleVariables.
	// Each falls back to the next when it is absent.
	Tuple string `koanf:"tuple"`
	// Connections bounds the connections whose last call is remembered; the one idle longest makes room, and
	// its next call is matched as one of a connection seen for the first time.
	Connections int `koanf:"connections"`
	// Stale is the age of the agent's heartbeat from which on its records are not used.
	Stale time.Duration `koanf:"stale"`
	// Quiet is how long a connection is silent after a response before its call is taken to have ended; the next call on
	// the connection, or its end, says so sooner.
	Quiet time.Duration `koanf:"quiet"`
}

// The values of Options.Tuple: ways to ask the gateway for a call's 5-tuple, the cheapest first.
const (
	TupleHeader      = "header"       // the header X-Packet-Tuple, set by the gateway's snippet
	TupleMapVariable = "map-variable" // one variable, $packet_tuple, of the gateway's map
	TupleVariables   = "variables"    // each value asked in turn
)

const (
	minConnections, maxConnections = 1024, 16 << 20
	minStale, maxStale             = 2 * time.Second, time.Minute
	minQuiet, maxQuiet             = time.Second, time.Hour
)

// Validate reports every setting that is out of its range, by key, value and range.
func (o Options) Validate() error {
	var errs []error
	if ways := []string{TupleHeader, TupleMapVariable, TupleVariables}; !slices.Contains(ways, o.Tuple) {
		errs = append(errs, fmt.Errorf("tuple: %q is not one of %s", o.Tuple, strings.Join(ways, ", ")))
	}
	if o.Connections < minConnections || o.Connections > maxConnections {
		errs = append(errs, fmt.Errorf("connections: %d is not in %d..%d", o.Connections, minConnections, maxConnections))
	}
	if o.Stale < minStale || o.Stale > maxStale {
		errs = append(errs, fmt.Errorf("stale: %v is not in %v..%v", o.Stale, minStale, maxStale))
	}
	if o.Quiet < minQuiet || o.Quiet > maxQuiet {
		errs = append(errs, fmt.Errorf("quiet: %v is not in %v..%v", o.Quiet, minQuiet, maxQuiet))
	}
	return errors.Join(errs...)
}
