package compose

import (
	"os"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"
)

// TestMounts: every file that is mounted is there and stays as it is; the commands read what is mounted.
func TestMounts(t *testing.T) {
	p := project(t)
	files := map[string]map[string]string{
		"apisix": {
			"/usr/local/apisix/conf/config.yaml": "../../conf/apisix/config.yaml",
			"/usr/local/apisix/conf/apisix.yaml": "apisix.yaml",
		},
		"runner": {"/etc/fivetuple.yaml": "fivetuple.yaml"},
		"agent":  {"/etc/fivetuple.yaml": "fivetuple.yaml"},
	}
	for name, s := range p.Services {
		want, got := map[string]string{}, map[string]string{}
		for target, source := range files[name] {
			want[target] = abs(t, source)
		}
		for _, m := range s.Volumes {
			if m.Type != types.VolumeTypeBind || m.Source == hostPins {
				continue
			}
			got[m.Target] = m.Source
			if info, err := os.Stat(m.Source); err != nil || !info.Mode().IsRegular() || !m.ReadOnly {
				t.Errorf("%s: %s: read-only %v, %v", name, m.Source, m.ReadOnly, err)
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: files (-want +got):\n%s", name, d)
		}
	}
	for name, verb := range map[string]string{"runner": "run", "agent": "agent"} {
		want := []string{verb, "--config", "/etc/fivetuple.yaml"}
		if d := cmp.Diff(want, []string(p.Services[name].Command)); d != "" {
			t.Errorf("%s: command (-want +got):\n%s", name, d)
		}
	}
}

// TestOrder: what has to be there first; and no image that changes under its name.
func TestOrder(t *testing.T) {
	p := project(t)
	for name, want := range map[string][]string{"apisix": {"runner", "upstream"}, "agent": {"apisix"}} {
		s := p.Services[name]
		for _, dep := range want {
			if s.DependsOn[dep].Condition != types.ServiceConditionStarted || !s.DependsOn[dep].Required {
				t.Errorf("%s does not wait for %s: %+v", name, dep, s.DependsOn)
			}
		}
	}
	if !p.Services["agent"].DependsOn["apisix"].Restart {
		t.Error("the agent stays in the network namespace of an APISIX that is gone")
	}
	for name, s := range p.Services {
		_, tag, ok := strings.Cut(s.Image, ":")
		if !ok || tag == "latest" {
			t.Errorf("%s: image %s has no version", name, s.Image)
		}
		if s.Image == "fivetuple:dev" && s.Build != nil && s.Build.Context != abs(t, "../..") {
			t.Errorf("%s: built in %s", name, s.Build.Context)
		}
	}
}
