// Package compose compares the Docker Compose example with conf/. Its tests start no container; the program in smoke/ runs the
// stack.
package compose

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"

	"fivetuple/conf"
)

// project returns the stack with the services of all profiles, and the variables' defaults.
func project(t *testing.T) *types.Project {
	t.Helper()
	return load(t, types.Mapping{}, "*")
}

func load(t *testing.T, env types.Mapping, profiles ...string) *types.Project {
	t.Helper()
	p, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir:  abs(t, "."),
		ConfigFiles: []types.ConfigFile{{Filename: abs(t, "compose.yaml")}},
		Environment: env,
	}, loader.WithProfiles(profiles))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestServices: what is started, and what a profile adds.
func TestServices(t *testing.T) {
	one := []string{"agent", "apisix", "redis", "runner", "upstream"}
	for profile, more := range map[string][]string{
		"":       nil,
		"client": {"client"},
		"fleet":  {"agent-2", "apisix-2", "runner-2"},
	} {
		want := slices.Sorted(slices.Values(append(slices.Clone(one), more...)))
		if d := cmp.Diff(want, load(t, types.Mapping{}, profile).ServiceNames()); d != "" {
			t.Errorf("profile %q (-want +got):\n%s", profile, d)
		}
	}
}

// of returns the services of the stack that are gateways' part, like "runner": that of the first gateway and that of the second.
func of(part string) []string { return []string{part, part + "-2"} }

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
