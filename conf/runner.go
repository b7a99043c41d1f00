package conf

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// Runner are the settings of the process that APISIX calls, the section `runner`.
type Runner struct {
	// Socket is the absolute path of the unix socket; empty means the address that APISIX gives its runner in
	// the environment, APISIX_LISTEN_ADDRESS=unix:PATH.
	Socket string `koanf:"socket"`
	// SocketMode is the socket's file mode, one of SocketModes, and SocketGroup the name or number of its group; empty is the
	// runner's own. Whoever may write to the socket may act as a gateway, if PeerUIDs has no one. A socket that systemd hands over has
	// the mode and group of its unit.
	SocketMode  string `koanf:"socket_mode"`
	SocketGroup string `koanf:"socket_group"`
	// PeerUIDs are the users that may act as a gateway, by name or number, beside root and the runner's own; empty: everybody
	// who can connect.
	PeerUIDs []string `koanf:"peer_uids"`
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

// SocketModes returns the values of Runner.SocketMode: nobody but the runner's user may connect, its group may, everybody may.
func SocketModes() []string { return []string{"0600", "0660", "0666"} }

// maxPeers is the most users that PeerUIDs may have.
const maxPeers = 64

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
	if !slices.Contains(SocketModes(), r.SocketMode) {
		errs = append(errs, fmt.Errorf(`socket_mode: %q is not one of "0600", "0660", "0666"`, r.SocketMode))
	}
	if len(r.PeerUIDs) > maxPeers {
		errs = append(errs, fmt.Errorf("peer_uids: %d users given, at most %d", len(r.PeerUIDs), maxPeers))
	}
	for i, name := range r.PeerUIDs {
		if name == "" {
			errs = append(errs, fmt.Errorf("peer_uids[%d]: %q is no user's name or number", i, name))
		}
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
