package baseline

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"
)

// Options are the settings of what is learned, the section `baseline` of fivetuple.yaml.
type Options struct {
	// File is the absolute path where the runner keeps what was learned; empty keeps nothing. This package opens no file.
	File string `koanf:"file"`
	// Keys bounds the pairs of route and method with a baseline of their own; the rest share one.
	Keys int `koanf:"keys"`
	// MinCalls is how many calls have to be learned before there is a verdict.
	MinCalls int `koanf:"min_calls"`
	// Window is the length of a window; windows begin at multiples of it on the wall clock.
	Window time.Duration `koanf:"window"`
	// Windows is how many closed windows make a baseline.
	Windows int `koanf:"windows"`
	// SourceShare is the most that one source gives of a window's weight.
	SourceShare float64 `koanf:"source_share"`
	// Drift is the factor by which a quantile moves in a day at most; on a baseline's first day it may move further, see drift.go.
	Drift float64 `koanf:"drift"`
	// ShiftShare is the share of a window's calls, and of its sources, that has to be abnormal before the window speaks for
	// a change.
	ShiftShare float64 `koanf:"shift_share"`
	// ShiftWindows is how many windows in a row have to speak for a change before the baseline is replaced.
	ShiftWindows int `koanf:"shift_windows"`
}

const (
	maxKeys                  = 10_000
	minMinCalls, maxMinCalls = 20, 1_000_000
	minWindow, maxWindow     = time.Second, 24 * time.Hour
	minWindows, maxWindows   = 2, 64
	minShare                 = 0.02 // below, a sample of a window has too few calls of a source
	minDrift, maxDrift       = 1.1, 10
	minShift                 = 0.5 // less would not be most calls
)

// Default returns the settings of conf/fivetuple.yaml.
func Default() Options {
	return Options{
		File: "/var/lib/fivetuple/baseline", Keys: 500, MinCalls: 200, Window: 30 * time.Minute, Windows: 12,
		SourceShare: 0.05, Drift: 2, ShiftShare: 0.5, ShiftWindows: 3,
	}
}

// Validate reports every setting that is out of its range, by key, value and range.
func (o Options) Validate() error {
	var errs []error
	if o.File != "" && (!filepath.IsAbs(o.File) || filepath.Clean(o.File) != o.File || o.File == "/") {
		errs = append(errs, fmt.Errorf("file: %q is not an absolute path below /, like /var/lib/fivetuple/baseline", o.File))
	}
	errs = append(errs,
		inRange("keys", o.Keys, 1, maxKeys),
		inRange("min_calls", o.MinCalls, minMinCalls, maxMinCalls),
		inRange("window", o.Window, minWindow, maxWindow),
		inRange("windows", o.Windows, minWindows, maxWindows),
		inRange("source_share", o.SourceShare, minShare, 1),
		inRange("drift", o.Drift, minDrift, maxDrift),
		inRange("shift_share", o.ShiftShare, minShift, 1),
		inRange("shift_windows", o.ShiftWindows, 1, max(o.Windows, minWindows)),
	)
	return errors.Join(errs...)
}

func inRange[T int | float64 | time.Duration](key string, value, low, high T) error {
	if value >= low && value <= high { // a value that is no number is not
		return nil
	}
	return fmt.Errorf("%s: %v is not in %v..%v", key, value, low, high)
}

// minWeight is the weight from which on a window is closed: as many windows as are kept then have MinCalls.
func (o *Options) minWeight() float64 { return math.Ceil(float64(o.MinCalls) / float64(o.Windows)) }

// isMany says whether so many sources feed a window that none gives more than its share by being one of them.
func (o *Options) isMany(sources int) bool { return float64(sources)*o.SourceShare >= 1-1e-9 }
