package gateway

import (
	"fmt"
	"strings"
)

// settings is what the stand-in takes from APISIX's config.yaml.
type settings struct {
	socket   string // path of the runner's unix socket; empty if no route has a plugin
	snippets *snippets
	// ignored are the keys that are APISIX's and have no meaning here.
	ignored []string
}

// What follows mirrors the file. A key of type any is APISIX's, has no meaning for the stand-in, and is
// reported as ignored; a key that is not here is refused.
type (
	configFile struct {
		ExtPlugin  extPluginEntry `yaml:"ext-plugin"`
		Nginx      nginxEntry     `yaml:"nginx_config"`
		APISIX     any            `yaml:"apisix"`
		Deployment any            `yaml:"deployment"`
		Plugins    any            `yaml:"plugins"`
		PluginAttr any            `yaml:"plugin_attr"`
		Stream     any            `yaml:"stream_plugins"`
	}
	extPluginEntry struct {
		PathForTest text `yaml:"path_for_test"`
		Cmd         any  `yaml:"cmd"`
	}
	nginxEntry struct {
		Location text `yaml:"http_server_location_configuration_snippet"`
		HTTP     text `yaml:"http_configuration_snippet"`

		// Directives in these would be played by nginx and not here, so there must be none.
		Main    text `yaml:"main_configuration_snippet"`
		Server  text `yaml:"http_server_configuration_snippet"`
		Admin   text `yaml:"http_admin_configuration_snippet"`
		HTTPEnd text `yaml:"http_end_configuration_snippet"`
		Streams text `yaml:"stream_configuration_snippet"`

		HTTPOptions any `yaml:"http"`
		ErrorLog    any `yaml:"error_log"`
		ErrorLevel  any `yaml:"error_log_level"`
		Workers     any `yaml:"worker_processes"`
		OpenFiles   any `yaml:"worker_rlimit_nofile"`
		Shutdown    any `yaml:"worker_shutdown_timeout"`
		Affinity    any `yaml:"enable_cpu_affinity"`
		Event       any `yaml:"event"`
		Envs        any `yaml:"envs"`
		User        any `yaml:"user"`
		Meta        any `yaml:"meta"`
		StreamConf  any `yaml:"stream"`
	}
)

// loadConfig reads config.yaml; empty content is an empty configuration.
func loadConfig(name string, content []byte) (*settings, error) {
	var file configFile
	if strings.TrimSpace(string(content)) != "" {
		if _, err := decodeYAML(name, content, &file); err != nil {
			return nil, err
		}
	}
	if err := file.Nginx.noOthers(); err != nil {
		return nil, fmt.Errorf("%w: %s: nginx_config.%w", ErrConfig, name, err)
	}
	s, err := loadSnippets(string(file.Nginx.Location), string(file.Nginx.HTTP))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: nginx_config.%w", ErrConfig, name, err)
	}
	return &settings{socket: string(file.ExtPlugin.PathForTest), snippets: s, ignored: file.ignored()}, nil
}

// ignored lists the keys that are there and mean nothing here.
func (f configFile) ignored() []string {
	n := f.Nginx
	var keys []string
	for _, k := range []struct {
		name  string
		value any
	}{
		{"apisix", f.APISIX},
		{"deployment", f.Deployment},
		{"plugins", f.Plugins},
		{"plugin_attr", f.PluginAttr},
		{"stream_plugins", f.Stream},
		{"ext-plugin.cmd", f.ExtPlugin.Cmd},
		{"nginx_config.http", n.HTTPOptions},
		{"nginx_config.error_log", n.ErrorLog},
		{"nginx_config.error_log_level", n.ErrorLevel},
		{"nginx_config.worker_processes", n.Workers},
		{"nginx_config.worker_rlimit_nofile", n.OpenFiles},
		{"nginx_config.worker_shutdown_timeout", n.Shutdown},
		{"nginx_config.enable_cpu_affinity", n.Affinity},
		{"nginx_config.event", n.Event},
		{"nginx_config.envs", n.Envs},
		{"nginx_config.user", n.User},
		{"nginx_config.meta", n.Meta},
		{"nginx_config.stream", n.StreamConf},
	} {
		if k.value != nil {
			keys = append(keys, k.name)
		}
	}
	return keys
}

// noOthers refuses directives in the snippets that the stand-in does not play.
func (n nginxEntry) noOthers() error {
	for _, s := range []struct {
		key     string
		snippet text
	}{
		{"main_configuration_snippet", n.Main},
		{"http_server_configuration_snippet", n.Server},
		{"http_admin_configuration_snippet", n.Admin},
		{"http_end_configuration_snippet", n.HTTPEnd},
		{"stream_configuration_snippet", n.Streams},
	} {
		list, err := parseSnippet(string(s.snippet))
		if err != nil {
			return fmt.Errorf("%s: %w", s.key, err)
		}
		if len(list) > 0 {
			return fmt.Errorf("%s: line %d: %q: %w", s.key, list[0].line, list[0].words, errDirective)
		}
	}
	return nil
}
