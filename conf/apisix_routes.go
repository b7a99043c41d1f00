package conf

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
)

// Route is a route of apisix.yaml, as far as we ship it; a key that we do not ship is refused.
type Route struct {
	// ID is the route's name, unique in the file.
	ID string `koanf:"id"`
	// URI is the path that the route takes, with * at its end for all below; or URIs are several.
	URI  string   `koanf:"uri"`
	URIs []string `koanf:"uris"`
	// Methods are those that the route takes; none means all.
	Methods []string `koanf:"methods"`
	// Upstream is where its calls go.
	Upstream Upstream `koanf:"upstream"`
	// Plugins are those that call the runner.
	Plugins RoutePlugins `koanf:"plugins"`
}

// Upstream is `upstream` of a route.
type Upstream struct {
	// Type is how a node is chosen: roundrobin.
	Type string `koanf:"type"`
	// Nodes are weights by HOST:PORT.
	Nodes map[string]int `koanf:"nodes"`
}

// RoutePlugins is `plugins` of a route: the phases in which the runner is called.
type RoutePlugins struct {
	PreReq  RunnerCall `koanf:"ext-plugin-pre-req"`
	PostReq RunnerCall `koanf:"ext-plugin-post-req"`
}

// RunnerCall is the configuration of one phase.
type RunnerCall struct {
	// AllowDegradation passes a call on when the runner does not answer; else it is refused with 503.
	AllowDegradation bool `koanf:"allow_degradation"`
	// Conf are the runner's plugins and their configurations, in their order.
	Conf []PluginConf `koanf:"conf"`
}

// PluginConf is one plugin of the runner.
type PluginConf struct {
	// Name is the plugin's name in the runner.
	Name string `koanf:"name"`
	// Value is its configuration, a JSON object as text.
	Value string `koanf:"value"`
}

// PluginConfs returns the runner's plugins of all phases, in the order in which APISIX runs them.
func (r Route) PluginConfs() []PluginConf {
	return slices.Concat(r.Plugins.PreReq.Conf, r.Plugins.PostReq.Conf)
}

// RoutesFile is apisix.yaml.
type RoutesFile struct {
	Routes      []Route      `koanf:"routes"`
	GlobalRules []GlobalRule `koanf:"global_rules"`
}

// endMark is how APISIX knows that the file was written to its end; without it, it takes none of it.
var endMark = regexp.MustCompile(`\n#END\s*$`)

// ParseAPISIXRoutes reads an apisix.yaml and checks that it is whole, that each route is, that each plugin's
// configuration is a JSON object, and that a global rule clears the tuple's header. On error the RoutesFile is zero, and the
// error names everything that is wrong.
func ParseAPISIXRoutes(name string, text []byte) (RoutesFile, error) {
	var f RoutesFile
	d := decode(name, text, &f)
	if !endMark.Match(text[max(0, len(text)-endWindow):]) {
		d.add(0, "", "the last line is not #END")
	}
	d.check(f.validate())
	if err := d.err(); err != nil {
		return RoutesFile{}, err
	}
	return f, nil
}

// endWindow is how many bytes of the file's end APISIX searches for the mark, and one for the line's beginning.
const endWindow = 10 + 1

func (f RoutesFile) validate() error {
	errs := []error{f.validateGlobalRules()}
	if len(f.Routes) == 0 {
		errs = append(errs, errors.New("routes: there are none"))
	}
	seen := map[string]bool{}
	for i, r := range f.Routes {
		section := fmt.Sprintf("routes[%d]", i)
		errs = append(errs, within(section, r.validate()))
		if seen[r.ID] {
			errs = append(errs, fmt.Errorf("%s.id: %q is another route's too", section, r.ID))
		}
		seen[r.ID] = true
	}
	return errors.Join(errs...)
}

var routeID = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

func (r Route) validate() error {
	var errs []error
	if !routeID.MatchString(r.ID) {
		errs = append(errs, fmt.Errorf("id: %q is not 1 to 64 of letters, digits and _.-", r.ID))
	}
	if (r.URI == "") == (len(r.URIs) == 0) {
		errs = append(errs, errors.New("uri: exactly one of uri and uris has to be given"))
	}
	errs = append(errs,
		within("upstream", r.Upstream.validate()),
		within("plugins.ext-plugin-pre-req", r.Plugins.PreReq.validate()),
		within("plugins.ext-plugin-post-req", r.Plugins.PostReq.validate()))
	return errors.Join(errs...)
}

func (u Upstream) validate() error {
	errs := []error{oneOf("type", u.Type, "roundrobin")}
	if len(u.Nodes) == 0 {
		errs = append(errs, errors.New("nodes: there are none"))
	}
	for node, weight := range u.Nodes { // the report is sorted later
		key := join2("nodes", node)
		if host, p, err := net.SplitHostPort(node); err != nil || host == "" || !isPort(p) {
			errs = append(errs, fmt.Errorf("%s: not HOST:PORT", key))
		}
		if weight < 0 {
			errs = append(errs, fmt.Errorf("%s: the weight %d is below 0", key, weight))
		}
	}
	return errors.Join(errs...)
}

func isPort(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && port("", n) == nil
}

func (c RunnerCall) validate() error {
	var errs []error
	for i, p := range c.Conf {
		if p.Name == "" {
			errs = append(errs, fmt.Errorf("conf[%d].name: it is empty", i))
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal([]byte(p.Value), &object); err != nil || object == nil {
			errs = append(errs, fmt.Errorf("conf[%d].value: %s is not a JSON object", i, short(p.Value)))
		}
	}
	return errors.Join(errs...)
}
