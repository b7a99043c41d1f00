package store

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options are the settings of how Redis is reached, the section `redis` of fivetuple.yaml.
type Options struct {
	// Addresses are HOST:PORT of the server, of Sentinels, or of some nodes of a Cluster; none: no Redis.
	Addresses []string `koanf:"addresses"`
	// Mode is ModeSingle, ModeSentinel or ModeCluster.
	Mode string `koanf:"mode"`
	// Master is the name by which Sentinels know the primary.
	Master string `koanf:"master"`
	// Database is the number of the database.
	Database int `koanf:"database"`
	// Username is the ACL user; empty is `default`.
	Username string `koanf:"username"`
	// PasswordFile is the absolute path of a file with the password; it is read at each new connection. A line feed at its end is
	// not part of the password.
	PasswordFile string `koanf:"password_file"`
	// PasswordEnv is the name of an environment variable with the password.
	PasswordEnv string `koanf:"password_env"`
	// Sentinel is how one logs in to Sentinels, which have users of their own.
	Sentinel SentinelOptions `koanf:"sentinel"`
	// TLS is how connections are encrypted.
	TLS TLSOptions `koanf:"tls"`
	// Timeout bounds the making of a connection, a read, and a write.
	Timeout time.Duration `koanf:"timeout"`
	// Queue is how many writes wait; when it is full the oldest is dropped and counted.
	Queue int `koanf:"queue"`
}

// SentinelOptions are those of Options with the same names, for Sentinels; their password is read once.
type SentinelOptions struct {
	Username     string `koanf:"username"`
	PasswordFile string `koanf:"password_file"`
	PasswordEnv  string `koanf:"password_env"`
}

// TLSOptions are the settings of encrypted connections. Files are PEM, by their absolute paths, and are read at each connection.
type TLSOptions struct {
	// Enabled encrypts all connections, with TLS 1.2 at least.
	Enabled bool `koanf:"enabled"`
	// CAFile has the authorities that may sign servers' certificates; empty takes the host's.
	CAFile string `koanf:"ca_file"`
	// CertFile and KeyFile are the certificate that is shown to servers.
	CertFile string `koanf:"cert_file"`
	KeyFile  string `koanf:"key_file"`
	// ServerName is the name that certificates have to have; empty is each address's host.
	ServerName string `koanf:"server_name"`
}

// The values of Options.Mode.
const (
	ModeSingle   = "single"
	ModeSentinel = "sentinel"
	ModeCluster  = "cluster"
)

const (
	maxAddresses           = 16
	maxDatabase            = 15
	minTimeout, maxTimeout = 100 * time.Millisecond, 10 * time.Second
	minQueue, maxQueue     = 64, 1 << 16
)

// Default returns the settings of conf/fivetuple.yaml.
func Default() Options {
	return Options{Addresses: []string{}, Mode: ModeSingle, Timeout: time.Second, Queue: 4096}
}

// Validate reports every setting that is out of its range, and those that contradict each other, by key and value.
func (o Options) Validate() error {
	errs := o.validateAddresses()
	if !slices.Contains([]string{ModeSingle, ModeSentinel, ModeCluster}, o.Mode) {
		errs = append(errs, fmt.Errorf("mode: %q is not one of %s, %s, %s", o.Mode, ModeSingle, ModeSentinel, ModeCluster))
	}
	if o.Database < 0 || o.Database > maxDatabase {
		errs = append(errs, fmt.Errorf("database: %d is not in 0..%d", o.Database, maxDatabase))
	}
	for _, f := range o.files() {
		if f.value != "" && (!filepath.IsAbs(f.value) || filepath.Clean(f.value) != f.value || f.value == "/") {
			errs = append(errs, fmt.Errorf("%s: %q is not an absolute path below /, like /etc/fivetuple/redis.password", f.key, f.value))
		}
	}
	for _, n := range []setting{{"password_env", o.PasswordEnv}, {"sentinel.password_env", o.Sentinel.PasswordEnv}} {
		if strings.ContainsAny(n.value, "= \x00") {
			errs = append(errs, fmt.Errorf("%s: %q is not the name of an environment variable", n.key, n.value))
		}
	}
	if o.Timeout < minTimeout || o.Timeout > maxTimeout {
		errs = append(errs, fmt.Errorf("timeout: %v is not in %v..%v", o.Timeout, minTimeout, maxTimeout))
	}
	if o.Queue < minQueue || o.Queue > maxQueue {
		errs = append(errs, fmt.Errorf("queue: %d is not in %d..%d", o.Queue, minQueue, maxQueue))
	}
	return errors.Join(append(errs, o.contradictions()...)...)
}

func (o Options) validateAddresses() (errs []error) {
	if len(o.Addresses) > maxAddresses {
		return []error{fmt.Errorf("addresses: %d given, range 0..%d", len(o.Addresses), maxAddresses)}
	}
	for i, address := range o.Addresses {
		host, port, err := net.SplitHostPort(address)
		n, portErr := strconv.ParseUint(port, 10, 16)
		if err != nil || portErr != nil || n == 0 || host == "" || strings.ContainsAny(host, "/@ ") {
			errs = append(errs, fmt.Errorf("addresses[%d]: %q is not a host and a port, like redis.example.net:6379", i, withoutUser(address)))
		}
	}
	return errs
}

// withoutUser returns an address without what somebody who took it for a URL has put before the host: it may be a password.
func withoutUser(address string) string {
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		return "(hidden)" + address[at:]
	}
	return address
}

// setting is a key with its value.
type setting struct{ key, value string }

func (o Options) files() []setting {
	return append([]setting{
		{"password_file", o.PasswordFile}, {"sentinel.password_file", o.Sentinel.PasswordFile},
	}, o.TLS.files()...)
}

func (o TLSOptions) files() []setting {
	return []setting{{"tls.ca_file", o.CAFile}, {"tls.cert_file", o.CertFile}, {"tls.key_file", o.KeyFile}}
}
