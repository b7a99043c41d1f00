package compose

import (
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"fivetuple/conf"
)

// TestPorts: each gateway publishes APISIX's port and its runner's metrics, to this host only; the health check asks where
// APISIX answers it.
func TestPorts(t *testing.T) {
	p, g, s := project(t), gateway(t), settings(t)
	published := map[string]string{}
	for name, service := range p.Services {
		if isAPISIX(name) || isRunner(name) {
			if len(service.Ports) != 1 {
				t.Fatalf("%s publishes %v", name, service.Ports)
			}
			port := service.Ports[0]
			if other, ok := published[port.Published]; ok || port.HostIP != "127.0.0.1" || port.Protocol != "tcp" {
				t.Errorf("%s publishes %+v, %s has that port", name, port, other)
			}
			published[port.Published] = name
			continue
		}
		if len(service.Ports) > 0 {
			t.Errorf("%s publishes %v", name, service.Ports)
		}
	}
	for _, name := range of("apisix") {
		if port := p.Services[name].Ports[0]; !slices.Contains(g.Listen.Node, int(port.Target)) {
			t.Errorf("%s publishes %+v and listens on %v", name, port, g.Listen.Node)
		}
		status := "/dev/tcp/" + g.Listen.Status.IP + "/" + strconv.Itoa(g.Listen.Status.Port)
		if test := strings.Join(p.Services[name].HealthCheck.Test, " "); !strings.Contains(test, status+" ") {
			t.Errorf("health check %s, want it to ask %s", test, status)
		}
	}
	for _, name := range of("runner") {
		if port := p.Services[name].Ports[0]; s.Metrics.Listen != "0.0.0.0:"+strconv.Itoa(int(port.Target)) || !s.Metrics.Remote {
			t.Errorf("%s publishes %+v and serves metrics on %s", name, port, s.Metrics.Listen)
		}
	}
}

// TestClientsAddress: what a call through a published port comes from is the bridge's address, which is no client's: it is never
// judged, and packet-guard never refuses its calls. The stack's own addresses are not trusted.
func TestClientsAddress(t *testing.T) {
	second, err := dotenv.Read("second.env")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, env := range []types.Mapping{{}, second} {
		pool := load(t, env, "*").Networks["calls"].Ipam.Config
		if len(pool) != 1 || pool[0].Gateway == "" || !strings.HasSuffix(pool[0].Subnet, ".0/24") {
			t.Fatalf("network of the calls: %+v", pool)
		}
		want = append(want, pool[0].Gateway)
	}
	var trusted []string
	for _, prefix := range settings(t).Watch.Trusted {
		trusted = append(trusted, strings.TrimSuffix(prefix, "/32"))
	}
	if d := cmp.Diff(want, trusted); d != "" {
		t.Errorf("watch.trusted (-bridges +settings):\n%s", d)
	}
	exempt := `"exempt":["` + want[0] + `/32","` + want[1] + `/32"]`
	if !strings.Contains(string(read(t, "apisix.yaml")), exempt) {
		t.Errorf("apisix.yaml: packet-guard has no %s", exempt)
	}
}

// TestRoutes: the shipped global rule and routes, whose nodes are services that APISIX can reach.
func TestRoutes(t *testing.T) {
	p := project(t)
	got, err := conf.ParseAPISIXRoutes("apisix.yaml", read(t, "apisix.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := conf.APISIXRoutes()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range got.Routes {
		for node := range r.Upstream.Nodes {
			host, port, err := net.SplitHostPort(node)
			if err != nil {
				t.Fatal(err)
			}
			for _, apisix := range of("apisix") {
				if s, ok := p.Services[host]; !ok || !shareNetwork(s, p.Services[apisix]) {
					t.Errorf("route %s: %s cannot reach %s", r.ID, apisix, node)
				}
			}
			if check := p.Services[host].HealthCheck.Test; !strings.Contains(strings.Join(check, " "), ":"+port+"/") {
				t.Errorf("route %s: the health check of %s asks %v", r.ID, host, check)
			}
		}
	}
	// The upstream differs, and the addresses that packet-guard spares: TestClientsAddress has them.
	exempt := regexp.MustCompile(`,?"exempt":\[[^]]*\]`)
	common := cmp.Options{
		cmpopts.IgnoreFields(conf.Route{}, "Upstream"),
		cmp.Transformer("withoutExempt", func(c conf.PluginConf) [2]string { return [2]string{c.Name, exempt.ReplaceAllString(c.Value, "")} }),
	}
	if d := cmp.Diff(want, got, common); d != "" {
		t.Errorf("rules and routes of conf/ (-) and of this folder (+):\n%s", d)
	}
}

// TestStore: Redis is reached by the runners and by no other service, and is what the settings name; it and the runners reach
// nothing outside of the host.
func TestStore(t *testing.T) {
	p, s := project(t), settings(t)
	for name, service := range p.Services {
		if got, want := shareNetwork(service, p.Services["redis"]), isRunner(name) || name == "redis"; got != want {
			t.Errorf("%s reaches redis: %v", name, got)
		}
	}
	for _, service := range append(of("runner"), "redis") {
		for name := range p.Services[service].Networks {
			if n := p.Networks[name]; !n.Internal && n.DriverOpts["com.docker.network.bridge.enable_ip_masquerade"] != "false" {
				t.Errorf("%s reaches beyond the host by %s", service, name)
			}
		}
	}
	if !slices.Equal(s.Redis.Addresses, []string{"redis:6379"}) || s.Fleet.Name == "" || s.Fleet.Gateway != "" {
		t.Errorf("redis at %v, fleet %q, gateway %q: want the service, and the host's name for the gateway", s.Redis.Addresses, s.Fleet.Name, s.Fleet.Gateway)
	}
	if a, b := p.Services["runner"].Hostname, p.Services["runner-2"].Hostname; a == "" || a == b {
		t.Errorf("the gateways are %q and %q in the fleet", a, b)
	}
}

// TestClient: the client inside has a network with the gateways, and nothing with anybody else but upstreams.
func TestClient(t *testing.T) {
	p := project(t)
	for name, service := range p.Services {
		got, want := shareNetwork(service, p.Services["client"]), isAPISIX(name) || name == "client" || name == "upstream"
		if got != want {
			t.Errorf("the client reaches %s: %v", name, got)
		}
	}
}

func shareNetwork(a, b types.ServiceConfig) bool {
	for name := range a.Networks {
		if _, ok := b.Networks[name]; ok {
			return true
		}
	}
	return false
}
