package conf

import (
	"fmt"
	"path/filepath"
)

// Runner are the settings of the process that APISIX calls, the section `runner`.
type Runner struct {
	// Socket is the absolute path of the unix socket; empty means the address that APISIX gives its runner in
	// the environment, APISIX_LISTEN_ADDRESS=unix:PATH.
	Socket string `koanf:"socket"`
}

// maxSocket is the longest path of a unix socket in bytes: sun_path less its final zero, unix(7).
const maxSocket = 107

// Validate reports a socket that is not an absolute path below /, or is too long for the kernel.
func (r Runner) Validate() error {
	if r.Socket == "" {
		return nil
	}
	return socketPath("socket", r.Socket)
}

// socketPath reports a path that no unix socket can have.
func socketPath(key, path string) error {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path || path == "/" {
		return fmt.Errorf("%s: %q is not an absolute path below /, like /run/fivetuple/socket/runner.sock", key, path)
	}
	if len(path) > maxSocket {
		return fmt.Errorf("%s: %q has %d bytes, a unix socket has at most %d", key, path, len(path), maxSocket)
	}
	return nil
}
