package compose

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"

	"fivetuple/conf"
)

// TestPorts: one port is published, APISIX's, to this host only; the health check asks where APISIX answers it.
func TestPorts(t *testing.T) {
	p, g := project(t), gateway(t)
	for name, s := range p.Services {
		if len(s.Ports) > 0 && name != "apisix" {
			t.Errorf("%s publishes %v", name, s.Ports)
		}
	}
	apisix := p.Services["apisix"]
	if len(apisix.Ports) != 1 {
		t.Fatalf("APISIX publishes %v", apisix.Ports)
	}
	port := apisix.Ports[0]
	if port.HostIP != "127.0.0.1" || !slices.Contains(g.Listen.Node, int(port.Target)) || port.Protocol != "tcp" {
		t.Errorf("APISIX publishes %+v and listens on %v", port, g.Listen.Node)
	}
	status := "/dev/tcp/" + g.Listen.Status.IP + "/" + strconv.Itoa(g.Listen.Status.Port)
	if test := strings.Join(apisix.HealthCheck.Test, " "); !strings.Contains(test, status+" ") {
		t.Errorf("health check %s, want it to ask %s", test, status)
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
	for i, r := range got.Routes {
		for node := range r.Upstream.Nodes {
			host, port, err := net.SplitHostPort(node)
			if err != nil {
				t.Fatal(err)
			}
			s, ok := p.Services[host]
			if !ok || !shareNetwork(s, p.Services["apisix"]) {
				t.Errorf("route %s: APISIX cannot reach %s", r.ID, node)
			}
			if !slices.Equal(s.Command, []string{"--port", port}) {
				t.Errorf("route %s: %s is started with %v", r.ID, node, s.Command)
			}
		}
		got.Routes[i].Upstream = conf.Upstream{}
	}
	for i := range want.Routes {
		want.Routes[i].Upstream = conf.Upstream{}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("rules and routes of conf/ (-) and of this folder (+), but for the upstream:\n%s", d)
	}
}

// TestStore: Redis is reached by the runner and by nobody else, and reaches nothing outside.
func TestStore(t *testing.T) {
	p := project(t)
	for name, s := range p.Services {
		if got, want := shareNetwork(s, p.Services["redis"]), name == "runner" || name == "redis"; got != want {
			t.Errorf("%s reaches redis: %v", name, got)
		}
	}
	for name := range p.Services["redis"].Networks {
		if !p.Networks[name].Internal {
			t.Errorf("redis reaches beyond the host by %s", name)
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
