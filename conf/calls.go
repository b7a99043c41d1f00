package conf

import (
	"errors"
	"fmt"
)

// Calls are the settings of the records of finished calls, the section `calls`.
type Calls struct {
	// File is the absolute path of the log of calls; empty writes none. Rotated files lie beside it.
	File string `koanf:"file"`
	// Sample is the share of connections whose calls are written, 0 to 1. Metrics count all calls.
	Sample float64 `koanf:"sample"`
	// Queue is how many records wait, in entries, for the log and for the metrics each; when it is full, further ones are
	// dropped and counted: no call waits.
	Queue int `koanf:"queue"`
	// Path is what is written of a request's path: PathOff, PathHash or PathFull.
	Path string `koanf:"path"`
	// IPv4Prefix and IPv6Prefix are how many leading bits of addresses are written; 32 and 128 are whole addresses.
	IPv4Prefix int `koanf:"ipv4_prefix"`
	IPv6Prefix int `koanf:"ipv6_prefix"`
	// Rotate says when the log's files are changed.
	Rotate Rotate `koanf:"rotate"`
}

// Rotate is the section `calls.rotate`.
type Rotate struct {
	// Size is that of a file in MiB from which on a new one begins.
	Size int `koanf:"size"`
	// Keep is how many old files stay.
	Keep int `koanf:"keep"`
	// Days is how long an old file stays.
	Days int `koanf:"days"`
}

// The values of Calls.Path.
const (
	PathOff  = "off"
	PathHash = "hash" // one that tells equal paths; who guesses a path can check the guess
	PathFull = "full" // without the query
)

// Validate reports every setting that is out of its range, by key, value and range.
func (c Calls) Validate() error {
	var errs []error
	if c.File != "" && !isFilePath(c.File) {
		errs = append(errs, fmt.Errorf("file: %q is not an absolute path below /, like /var/log/fivetuple/calls.jsonl", c.File))
	}
	if !(c.Sample >= 0 && c.Sample <= 1) {
		errs = append(errs, fmt.Errorf("sample: %v is not in 0..1", c.Sample))
	}
	errs = append(errs,
		inRange("queue", c.Queue, 64, 1<<20),
		oneOf("path", c.Path, PathOff, PathHash, PathFull),
		inRange("ipv4_prefix", c.IPv4Prefix, 0, 32),
		inRange("ipv6_prefix", c.IPv6Prefix, 0, 128),
		inRange("rotate.size", c.Rotate.Size, 1, 10240),
		inRange("rotate.keep", c.Rotate.Keep, 1, 1000),
		inRange("rotate.days", c.Rotate.Days, 1, 3650),
	)
	return errors.Join(errs...)
}

func inRange(key string, value, low, high int) error {
	if value < low || value > high {
		return fmt.Errorf("%s: %d is not in %d..%d", key, value, low, high)
	}
	return nil
}
