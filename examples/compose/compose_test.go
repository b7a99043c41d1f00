// Package compose holds the Docker Compose example to what conf/ says: no image is fetched, no container is started.
package compose

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"

	"fivetuple/conf"
)

// hostPins is the folder on the host's own BPF file system that stands in for the pins' path.
const hostPins = "/sys/fs/bpf/fivetuple"

func project(t *testing.T) *types.Project {
	t.Helper()
	p, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir:  abs(t, "."),
		ConfigFiles: []types.ConfigFile{{Filename: abs(t, "compose.yaml")}},
		Environment: types.Mapping{},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"agent", "apisix", "redis", "runner", "upstream"}
	if d := cmp.Diff(want, p.ServiceNames()); d != "" {
		t.Fatalf("services (-want +got):\n%s", d)
	}
	return p
}

// settings are what agent and runner read.
func settings(t *testing.T) conf.Config {
	t.Helper()
	c, err := conf.Load("fivetuple.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func gateway(t *testing.T) conf.Gateway {
	t.Helper()
	g, err := conf.APISIXGateway()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func mount(t *testing.T, p *types.Project, service, target string) types.ServiceVolumeConfig {
	t.Helper()
	for _, m := range p.Services[service].Volumes {
		if m.Target == target {
			return m
		}
	}
	t.Fatalf("%s has nothing at %s", service, target)
	return types.ServiceVolumeConfig{}
}

func user(t *testing.T, p *types.Project, service string) (uid, gid string) {
	t.Helper()
	uid, gid, ok := strings.Cut(p.Services[service].User, ":")
	if !ok {
		t.Fatalf("%s: user %q is not UID:GID", service, p.Services[service].User)
	}
	return uid, gid
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func abs(t *testing.T, name string) string {
	t.Helper()
	a, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
