package gateway

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// route is one route of apisix.yaml.
type route struct {
	id      string
	uris    []string // exact, or with a trailing * a prefix
	methods []string // empty: all
	nodes   *balancer
	pre     *pluginOptions // ext-plugin-pre-req; nil: not on this route
	post    *pluginOptions // ext-plugin-post-req
	delay   delayOptions   // fault-injection

	postResp   *pluginOptions // ext-plugin-post-resp
	auth       *forwardAuth
	ai         *aiProxy
	azure      *azureFunctions
	logger     *httpLogger
	mirror     string // proxy-mirror: http://HOST:PORT; empty: none
	unbuffered bool   // proxy-buffering: the call goes on to a named location

	websocket bool // a change to WebSocket is passed on
}

// pluginOptions is the configuration of an ext-plugin on a route.
type pluginOptions struct {
	conf    []pluginConf
	degrade bool // allow_degradation: pass on when the runner fails
}

type pluginConf struct{ name, value string }

// What follows mirrors the file; a key that is not here is refused.
type (
	apisixFile struct {
		Routes      []routeEntry      `yaml:"routes"`
		GlobalRules []globalRuleEntry `yaml:"global_rules"`
	}
	routeEntry struct {
		ID       identifier     `yaml:"id"`
		Name     text           `yaml:"name"`
		Desc     text           `yaml:"desc"`
		URI      text           `yaml:"uri"`
		URIs     []text         `yaml:"uris"`
		Methods  []text         `yaml:"methods"`
		Upstream *upstreamEntry `yaml:"upstream"`
		Plugins  pluginsEntry   `yaml:"plugins"`

		EnableWebSocket bool `yaml:"enable_websocket"`
	}
	upstreamEntry struct {
		Type  text        `yaml:"type"`
		Nodes nodesByName `yaml:"nodes"`
	}
	pluginsEntry struct {
		Pre  *pluginEntry `yaml:"ext-plugin-pre-req"`
		Post *pluginEntry `yaml:"ext-plugin-post-req"`
		Resp *pluginEntry `yaml:"ext-plugin-post-resp"`

		FaultInjection *faultInjectionEntry `yaml:"fault-injection"`
		Buffering      *bufferingEntry      `yaml:"proxy-buffering"`
		Mirror         *mirrorEntry         `yaml:"proxy-mirror"`
		Auth           *forwardAuthEntry    `yaml:"forward-auth"`
		AI             *aiProxyEntry        `yaml:"ai-proxy"`
		Azure          *azureFunctionsEntry `yaml:"azure-functions"`
		Logger         *httpLoggerEntry     `yaml:"http-logger"`
	}
	pluginEntry struct {
		Conf             []confEntry `yaml:"conf"`
		AllowDegradation bool        `yaml:"allow_degradation"`
	}
	confEntry struct {
		Name  text  `yaml:"name"`
		Value *text `yaml:"value"`
	}
)

const endMarker = "#END"

// loadRoutes reads apisix.yaml. The file must end with #END, as APISIX wants it: without it the file may be
// half written.
func loadRoutes(name string, content []byte) ([]*route, globalRules, error) {
	if !strings.HasSuffix(strings.TrimRight(string(content), " \t\r\n"), endMarker) {
		return nil, nil, fmt.Errorf("%w: %s: does not end with %s", ErrConfig, name, endMarker)
	}
	var file apisixFile
	f, err := decodeYAML(name, content, &file)
	if err != nil {
		return nil, nil, err
	}
	routes := make([]*route, 0, len(file.Routes))
	seen := make(map[string]bool)
	for i, entry := range file.Routes {
		r, err := loadRoute(f, fmt.Sprintf("$.routes[%d]", i), entry)
		if err != nil {
			return nil, nil, err
		}
		if seen[r.id] {
			return nil, nil, f.wrong(fmt.Sprintf("$.routes[%d].id", i), fmt.Sprintf("route %q is there twice", r.id))
		}
		seen[r.id] = true
		routes = append(routes, r)
	}
	global, err := loadGlobalRules(f, file.GlobalRules)
	return routes, global, err
}

var routeID = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

func loadRoute(f *yamlFile, path string, e routeEntry) (*route, error) {
	r := &route{id: string(e.ID), delay: loadDelay(e.Plugins.FaultInjection), websocket: e.EnableWebSocket}
	if !routeID.MatchString(r.id) {
		return nil, f.wrong(path+".id", fmt.Sprintf("%q is no route id: 1 to 64 of A-Z a-z 0-9 _ . -", r.id))
	}
	uris := append([]text(nil), e.URIs...)
	if (e.URI == "") == (len(uris) == 0) {
		return nil, f.wrong(path, "want one of uri and uris")
	}
	if e.URI != "" {
		uris = []text{e.URI}
	}
	for _, uri := range uris {
		if !strings.HasPrefix(string(uri), "/") || strings.Contains(strings.TrimSuffix(string(uri), "*"), "*") {
			return nil, f.wrong(path+".uri", fmt.Sprintf("%q: want a path, * only at its end", uri))
		}
		r.uris = append(r.uris, string(uri))
	}
	for _, method := range e.Methods {
		if !validMethod(string(method)) {
			return nil, f.wrong(path+".methods", fmt.Sprintf("%q is no method", method))
		}
		r.methods = append(r.methods, string(method))
	}
	return r, r.loadPlugins(f, path, e)
}

// loadPlugins reads the route's plugins, and its upstream, which a route does not need where a plugin sends the call on.
func (r *route) loadPlugins(f *yamlFile, path string, e routeEntry) (err error) {
	at, p := path+".plugins.", e.Plugins
	if r.pre, err = loadPlugin(f, at+"ext-plugin-pre-req", p.Pre); err != nil {
		return err
	}
	if r.post, err = loadPlugin(f, at+"ext-plugin-post-req", p.Post); err != nil {
		return err
	}
	if r.postResp, err = loadPlugin(f, at+"ext-plugin-post-resp", p.Resp); err != nil {
		return err
	}
	if r.auth, err = loadForwardAuth(f, at+"forward-auth", p.Auth); err != nil {
		return err
	}
	if r.ai, err = loadAIProxy(f, at+"ai-proxy", p.AI); err != nil {
		return err
	}
	if r.azure, err = loadAzureFunctions(f, at+"azure-functions", p.Azure); err != nil {
		return err
	}
	if r.logger, err = loadHTTPLogger(f, at+"http-logger", p.Logger); err != nil {
		return err
	}
	if p.Mirror != nil {
		r.mirror = string(p.Mirror.Host)
		if err := httpURL(f, at+"proxy-mirror.host", r.mirror, false); err != nil {
			return err
		}
	}
	r.unbuffered = p.Buffering != nil && p.Buffering.Disable
	if e.Upstream == nil && (r.ai != nil || r.azure != nil) {
		return nil
	}
	r.nodes, err = loadUpstream(f, path+".upstream", e.Upstream)
	return err
}

func loadUpstream(f *yamlFile, path string, e *upstreamEntry) (*balancer, error) {
	switch {
	case e == nil:
		return nil, f.wrong(path, "a route needs an upstream")
	case e.Type != "" && e.Type != "roundrobin":
		return nil, f.wrong(path+".type", fmt.Sprintf("%q: the stand-in plays roundrobin only", e.Type))
	case len(e.Nodes) == 0:
		return nil, f.wrong(path+".nodes", "an upstream needs nodes")
	}
	return &balancer{nodes: e.Nodes}, nil
}

func loadPlugin(f *yamlFile, path string, e *pluginEntry) (*pluginOptions, error) {
	if e == nil {
		return nil, nil //nolint:nilnil // no plugin is not an error
	}
	if len(e.Conf) == 0 {
		return nil, f.wrong(path+".conf", "wants at least one plugin")
	}
	options := &pluginOptions{degrade: e.AllowDegradation}
	for i, c := range e.Conf {
		at := fmt.Sprintf("%s.conf[%d]", path, i)
		if c.Name == "" || len(c.Name) > 128 {
			return nil, f.wrong(at, fmt.Sprintf("name %q: 1 to 128 bytes", c.Name))
		}
		if c.Value == nil {
			return nil, f.wrong(at, "value is missing")
		}
		options.conf = append(options.conf, pluginConf{name: string(c.Name), value: string(*c.Value)})
	}
	return options, nil
}

// identifier is a route's id: a string or a whole number.
type identifier string

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (id *identifier) UnmarshalYAML(node ast.Node) error {
	if number, ok := node.(*ast.IntegerNode); ok {
		*id = identifier(number.GetToken().Value)
		return nil
	}
	value, err := textOf(node)
	*id = identifier(value)
	return err
}

// nodesByName reads both forms of upstream.nodes: {"host:port": weight}, and a list of host, port, weight.
type nodesByName []node

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (n *nodesByName) UnmarshalYAML(from ast.Node) error {
	switch value := from.(type) {
	case ast.MapNode:
		for pairs := value.MapRange(); pairs.Next(); {
			if err := n.add(pairs.Key().GetToken().Value, pairs.Value(), from); err != nil {
				return err
			}
		}
		return nil
	case *ast.SequenceNode:
		for _, item := range value.Values {
			if err := n.addListed(item); err != nil {
				return err
			}
		}
		return nil
	default:
		return &valueError{token: from.GetToken(), why: "want a map or a list of nodes"}
	}
}

func (n *nodesByName) add(address string, weight, at ast.Node) error {
	w, ok := wholeNumber(weight)
	if !ok || w > maxWeight {
		return &valueError{token: weight.GetToken(), why: "want a weight, 0 to 65536"}
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil { // APISIX takes a node without a port as port 80
		host, port = address, "80"
	}
	if p, err := strconv.ParseUint(port, 10, 16); err != nil || p == 0 || host == "" {
		return &valueError{token: at.GetToken(), why: fmt.Sprintf("%q is not host:port", address)}
	}
	*n = append(*n, node{address: net.JoinHostPort(host, port), weight: w})
	return nil
}

const maxWeight = 1 << 16

func (n *nodesByName) addListed(item ast.Node) error {
	pairs, ok := item.(ast.MapNode)
	if !ok {
		return &valueError{token: item.GetToken(), why: "want host, port and weight"}
	}
	host, port := "", "80"
	var weight ast.Node
	for each := pairs.MapRange(); each.Next(); {
		key, value := each.Key().GetToken(), each.Value()
		var err error
		switch key.Value {
		case "host":
			host, err = textOf(value)
		case "port":
			if _, whole := wholeNumber(value); !whole {
				err = &valueError{token: value.GetToken(), why: "port: want a whole number"}
			}
			port = value.GetToken().Value
		case "weight":
			weight = value
		default:
			err = &valueError{token: key, why: fmt.Sprintf("unknown key %q", key.Value)}
		}
		if err != nil {
			return err
		}
	}
	if host == "" || weight == nil {
		return &valueError{token: item.GetToken(), why: "host or weight is missing"}
	}
	return n.add(net.JoinHostPort(host, port), weight, item)
}

func wholeNumber(node ast.Node) (int, bool) {
	number, ok := node.(*ast.IntegerNode)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(number.GetToken().Value)
	return n, err == nil && n >= 0
}
