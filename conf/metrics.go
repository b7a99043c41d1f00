package conf

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Metrics are the settings of the runner's metrics, the section `metrics`.
type Metrics struct {
	// Listen is the address and port where /metrics, /healthz and /report are served; empty serves none.
	Listen string `koanf:"listen"`
	// Remote lets Listen be an address that other hosts can reach.
	Remote bool `koanf:"remote"`
	// Hosts are further names by which Listen is called.
	Hosts []string `koanf:"hosts"`
	// Series is how many sets of the labels route, service and consumer are told apart; new ones take the place of idle ones, else they are `_other`.
	Series int `koanf:"series"`
}

// Validate reports every setting that is out of its range, by key, value and range.
func (m Metrics) Validate() error {
	return errors.Join(m.validateListen(), m.validateHosts(), inRange("series", m.Series, 1, 10000))
}

// maxHosts is how many names there may be, and maxHost how many bytes each may have.
const maxHosts, maxHost = 64, 253

func (m Metrics) validateHosts() error {
	if len(m.Hosts) > maxHosts {
		return fmt.Errorf("hosts: %d names, at most %d", len(m.Hosts), maxHosts)
	}
	const signs = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	for i, name := range m.Hosts {
		if name == "" || len(name) > maxHost || strings.Trim(name, signs) != "" {
			return fmt.Errorf("hosts: [%d]: %q is not a host's name of 1 to %d letters, digits and -_. without a port", i, name, maxHost)
		}
	}
	return nil
}

func (m Metrics) validateListen() error {
	if m.Listen == "" {
		return nil
	}
	at, err := netip.ParseAddrPort(m.Listen)
	switch {
	case err != nil || at.Port() == 0:
		return fmt.Errorf("listen: %q is not an IP address and a port, like 127.0.0.1:9476 or [::1]:9476", m.Listen)
	case !m.Remote && !at.Addr().Unmap().IsLoopback():
		return fmt.Errorf("listen: %q can be reached from other hosts, which metrics.remote: true has to allow", m.Listen)
	}
	return nil
}
