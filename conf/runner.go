package conf

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// Runner are the settings of the process that APISIX calls, the section `runner`.
type Runner struct {
	// Socket is the absolute path of the unix socket; empty means the address that APISIX gives its runner in
	// the environment, APISIX_LISTEN_ADDRESS=unix:PATH.
	Socket string `koanf:"socket"`
	// OnConfigError is what calls of a route with a wrong plugin configuration get: ConfigErrorMark or
	// ConfigErrorRefuse.
	OnConfigError string `koanf:"on_config_error"`
	// Drain is how long the runner goes on serving after SIGTERM, because the gateway goes on calling.
	Drain time.Duration `koanf:"drain"`
	// Switches is the absolute path of the file that says which routes are switched off: `fivetuple route` writes it, the
	// runner reads it whenever it changes.
	Switches string `koanf:"switches"`
}

// The values of Runner.OnConfigError.
const (
	ConfigErrorMark   = "mark"   // they go on, and x-packet-match says none;reason=config
	ConfigErrorRefuse = "refuse" // they are answered with 503
)

// maxDrain is the longest that the runner serves after SIGTERM.
const maxDrain = time.Minute

// maxSocket is the longest path of a unix socket in bytes: sun_path less its final zero, unix(7).
const maxSocket = 107

// Validate reports every setting that is out of its range, by key, value and range.
func (r Runner) Validate() error {
	var errs []error
	if r.Socket != "" {
		errs = append(errs, socketPath("socket", r.Socket))
	}
	if r.OnConfigError != ConfigErrorMark && r.OnConfigError != ConfigErrorRefuse {
		errs = append(errs, fmt.Errorf("on_config_error: %q is not one of %s, %s", r.OnConfigError, ConfigErrorMark, ConfigErrorRefuse))
	}
	if r.Drain < 0 || r.Drain > maxDrain {
		errs = append(errs, fmt.Errorf("drain: %v is not in 0s..%v", r.Drain, maxDrain))
	}
	if !isFilePath(r.Switches) {
		errs = append(errs, fmt.Errorf("switches: %q is not an absolute path below /, like /var/lib/fivetuple/switches.yaml", r.Switches))
	}
	return errors.Join(errs...)
}

// isFilePath says whether a path is absolute, below /, and written in its shortest form.
func isFilePath(path string) bool {
	return filepath.IsAbs(path) && filepath.Clean(path) == path && path != "/"
}

// socketPath reports a path that no unix socket can have.
func socketPath(key, path string) error {
	if !isFilePath(path) {
		return fmt.Errorf("%s: %q is not an absolute path below /, like /run/fivetuple/socket/runner.sock", key, path)
	}
	if len(path) > maxSocket {
		return fmt.Errorf("%s: %q has %d bytes, a unix socket has at most %d", key, path, len(path), maxSocket)
	}
	return nil
}
