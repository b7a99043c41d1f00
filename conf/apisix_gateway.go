package conf

import (
	"errors"
	"fmt"
)

// Gateway is APISIX's config.yaml, as far as we ship it; a key that we do not ship is refused.
type Gateway struct {
	// Deployment says where APISIX has its routes from.
	Deployment Deployment `koanf:"deployment"`
	// Listen is the section `apisix`: where APISIX listens.
	Listen Listen `koanf:"apisix"`
	// ExtPlugin says where the runner is.
	ExtPlugin ExtPlugin `koanf:"ext-plugin"`
	// Nginx is put into nginx.conf.
	Nginx Nginx `koanf:"nginx_config"`
}

// Deployment is the section `deployment`; only the standalone form is taken.
type Deployment struct {
	Role          string        `koanf:"role"`
	RoleDataPlane RoleDataPlane `koanf:"role_data_plane"`
}

// RoleDataPlane is the section `deployment.role_data_plane`.
type RoleDataPlane struct {
	ConfigProvider string `koanf:"config_provider"`
}

// Listen is the section `apisix`.
type Listen struct {
	// Node are the TCP ports for calls, 1 to 65535, on all addresses.
	Node []int `koanf:"node_listen"`
	// Status is where APISIX says whether it is ready.
	Status Status `koanf:"status"`
}

// Status is the section `apisix.status`.
type Status struct {
	IP   string `koanf:"ip"`
	Port int    `koanf:"port"`
}

// ExtPlugin is the section `ext-plugin`; exactly one of its keys is given.
type ExtPlugin struct {
	// Cmd is the command by which APISIX starts the runner itself.
	Cmd []string `koanf:"cmd"`
	// PathForTest is the socket's absolute path where somebody else runs the runner, without "unix:".
	PathForTest string `koanf:"path_for_test"`
}

// Nginx is the section `nginx_config`.
type Nginx struct {
	LocationSnippet string    `koanf:"http_server_location_configuration_snippet"`
	HTTPSnippet     string    `koanf:"http_configuration_snippet"`
	HTTP            NginxHTTP `koanf:"http"`
}

// NginxHTTP is the section `nginx_config.http`.
type NginxHTTP struct {
	AccessLogFormat       string `koanf:"access_log_format"`
	AccessLogFormatEscape string `koanf:"access_log_format_escape"`
}

// ParseAPISIXConfig reads a config.yaml of APISIX and checks that the plugin gets from it what it needs. On error
// the Gateway is zero and the error names everything that is wrong.
func ParseAPISIXConfig(name string, text []byte) (Gateway, error) {
	var g Gateway
	d := decode(name, text, &g)
	d.check(g.validate())
	if err := d.err(); err != nil {
		return Gateway{}, err
	}
	return g, nil
}

func (g Gateway) validate() error {
	return errors.Join(
		oneOf("deployment.role", g.Deployment.Role, "data_plane"),
		oneOf("deployment.role_data_plane.config_provider", g.Deployment.RoleDataPlane.ConfigProvider, "yaml"),
		within("apisix", g.Listen.validate()),
		within("ext-plugin", g.ExtPlugin.validate()),
		within("nginx_config", g.Nginx.validate()),
	)
}

func (l Listen) validate() error {
	var errs []error
	if len(l.Node) == 0 {
		errs = append(errs, errors.New("node_listen: no port is given"))
	}
	for i, p := range l.Node {
		errs = append(errs, port(fmt.Sprintf("node_listen[%d]", i), p))
	}
	if l.Status != (Status{}) {
		errs = append(errs, port("status.port", l.Status.Port))
	}
	return errors.Join(errs...)
}

func (e ExtPlugin) validate() error {
	if (len(e.Cmd) == 0) == (e.PathForTest == "") {
		return errors.New("cmd: exactly one of cmd and path_for_test has to be given")
	}
	if e.PathForTest == "" {
		return nil
	}
	return socketPath("path_for_test", e.PathForTest)
}

func port(key string, p int) error {
	if p < 1 || p > 65535 {
		return fmt.Errorf("%s: %d is not in 1..65535", key, p)
	}
	return nil
}
