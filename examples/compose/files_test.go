package compose

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"
)

// TestMounts: every file that is mounted is there and stays as it is, and Docker makes no folder in its place if it is gone; the
// commands read what is mounted, also those that somebody executes in the container.
func TestMounts(t *testing.T) {
	p := project(t)
	files := func(name string) map[string]string {
		switch {
		case isAPISIX(name):
			return map[string]string{
				"/usr/local/apisix/conf/config.yaml": "../../conf/apisix/config.yaml",
				"/usr/local/apisix/conf/apisix.yaml": "apisix.yaml",
			}
		case isRunner(name), isAgent(name):
			return map[string]string{"/etc/fivetuple.yaml": "fivetuple.yaml"}
		}
		return nil
	}
	for name, s := range p.Services {
		want, got := map[string]string{}, map[string]string{}
		for target, source := range files(name) {
			want[target] = abs(t, source)
		}
		for _, m := range s.Volumes {
			if m.Type != types.VolumeTypeBind {
				continue
			}
			got[m.Target] = m.Source
			if info, err := os.Stat(m.Source); err != nil || !info.Mode().IsRegular() || !m.ReadOnly || bool(m.Bind.CreateHostPath) {
				t.Errorf("%s: %s: read-only %v, makes a folder %v, %v", name, m.Source, m.ReadOnly, m.Bind.CreateHostPath, err)
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: files (-want +got):\n%s", name, d)
		}
		if !isRunner(name) && !isAgent(name) {
			continue
		}
		verb := "run"
		if isAgent(name) {
			verb = "agent"
		}
		if d := cmp.Diff([]string{verb}, []string(s.Command)); d != "" {
			t.Errorf("%s: command (-want +got):\n%s", name, d)
		}
		if v := s.Environment["FIVETUPLE_CONFIG"]; v == nil || *v != "/etc/fivetuple.yaml" {
			t.Errorf("%s: FIVETUPLE_CONFIG is %v", name, v)
		}
	}
}

// TestOrder: what has to be there first.
func TestOrder(t *testing.T) {
	p := project(t)
	for name, want := range map[string][]string{
		"apisix": {"runner", "upstream"}, "agent": {"apisix"}, "runner": {"redis"},
		"apisix-2": {"runner-2", "upstream"}, "agent-2": {"apisix-2"}, "runner-2": {"redis"},
	} {
		s := p.Services[name]
		for _, dep := range want {
			if s.DependsOn[dep].Condition != types.ServiceConditionStarted || !s.DependsOn[dep].Required {
				t.Errorf("%s does not wait for %s: %+v", name, dep, s.DependsOn)
			}
		}
	}
	for i, agent := range of("agent") {
		if !p.Services[agent].DependsOn[of("apisix")[i]].Restart {
			t.Errorf("%s stays in the network namespace of an APISIX that is gone", agent)
		}
	}
}

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// TestMemory: no service of ours takes all of the host's memory; the agent's bound holds the tables that its settings ask for, and the
// runner's garbage collector knows of its own.
func TestMemory(t *testing.T) {
	p := project(t)
	for name, s := range p.Services {
		if own := !isAPISIX(name) && name != "client"; own != (s.MemLimit > 0) {
			t.Errorf("%s: memory limit %d", name, s.MemLimit)
		}
	}
	const flowBytes, rest = 704, 40 << 20 // of the other tables and of the process
	for _, name := range of("agent") {
		if need := 2 * (int64(settings(t).Agent.Tables.Flows)*flowBytes + rest); int64(p.Services[name].MemLimit) < need {
			t.Errorf("%s: limit %d; the tables of two versions take %d", name, p.Services[name].MemLimit, need)
		}
	}
	for _, name := range of("runner") {
		s := p.Services[name]
		var soft int64
		if v := s.Environment["GOMEMLIMIT"]; v != nil {
			mib, err := strconv.ParseInt(strings.TrimSuffix(*v, "MiB"), 10, 64)
			must(t, err)
			soft = mib << 20
		}
		if limit := int64(s.MemLimit); soft < limit*3/4 || soft > limit*19/20 {
			t.Errorf("%s: limit %d, GOMEMLIMIT %d", name, limit, soft)
		}
	}
}

// TestImages: no image changes under its name, and no registry is asked for one that is built here.
func TestImages(t *testing.T) {
	built := map[string]string{} // image: target of the Dockerfile
	p := project(t)
	for name, s := range p.Services {
		_, tag, ok := strings.Cut(s.Image, ":")
		if !ok || tag == "latest" {
			t.Errorf("%s: image %s has no version", name, s.Image)
		}
		if _, digest, _ := strings.Cut(s.Image, "@"); s.PullPolicy != types.PullPolicyNever && !digestForm.MatchString(digest) {
			t.Errorf("%s: image %s has no digest", name, s.Image)
		}
		if s.Build == nil {
			continue
		}
		built[s.Image] = s.Build.Target
		if s.Build.Context != abs(t, "../..") || s.Build.Dockerfile != "Dockerfile" {
			t.Errorf("%s: built in %s by %s", name, s.Build.Context, s.Build.Dockerfile)
		}
	}
	if d := cmp.Diff(map[string]string{"fivetuple:dev": "fivetuple", "fivetuple-upstream:dev": "upstream"}, built); d != "" {
		t.Errorf("images that are built (-want +got):\n%s", d)
	}
	for name, s := range p.Services {
		if _, ok := built[s.Image]; ok != (s.PullPolicy == types.PullPolicyNever) {
			t.Errorf("%s: image %s, pull policy %q", name, s.Image, s.PullPolicy)
		}
	}
	if v := p.Services["runner"].Build.Args["VERSION"]; v == nil || *v != "dev" {
		t.Errorf("the image's version is %v by default", v)
	}
}

// TestServicesThatStay: each that stays is started again, has a health check, and a log that does not fill the disk.
func TestServicesThatStay(t *testing.T) {
	for name, s := range project(t).Services {
		if name == "client" { // makes one call
			continue
		}
		if s.Restart != types.RestartPolicyUnlessStopped {
			t.Errorf("%s: restart %q", name, s.Restart)
		}
		if s.HealthCheck == nil || len(s.HealthCheck.Test) < 2 || s.HealthCheck.Test[0] != "CMD" {
			t.Errorf("%s: health check %+v", name, s.HealthCheck)
		}
		if s.Logging == nil || s.Logging.Options["max-size"] == "" || s.Logging.Options["max-file"] == "" {
			t.Errorf("%s: log %+v", name, s.Logging)
		}
	}
}

// TestVariables: .env names every variable of compose.yaml with the default that it has there, and none else.
func TestVariables(t *testing.T) {
	want, got := map[string]string{}, map[string]string{}
	for _, m := range regexp.MustCompile(`\$\{(\w+):-([^}]*)\}`).FindAllStringSubmatch(string(read(t, "compose.yaml")), -1) {
		if value, ok := want[m[1]]; ok && value != m[2] {
			t.Errorf("%s has the defaults %q and %q", m[1], value, m[2])
		}
		want[m[1]] = m[2]
	}
	for _, m := range regexp.MustCompile(`(?m)^#(\w+)=(.*)$`).FindAllStringSubmatch(string(read(t, ".env")), -1) {
		got[m[1]] = m[2]
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("variables (-compose.yaml +.env):\n%s", d)
	}
}

// TestSecondStack: it shares nothing with the first on the host.
func TestSecondStack(t *testing.T) {
	env, err := dotenv.Read("second.env")
	if err != nil {
		t.Fatal(err)
	}
	if env["COMPOSE_PROJECT_NAME"] == "" || env["COMPOSE_PROJECT_NAME"] == project(t).Name {
		t.Errorf("the second stack's name is %q", env["COMPOSE_PROJECT_NAME"])
	}
	taken := map[string]bool{}
	for _, p := range []*types.Project{project(t), load(t, env, "*")} {
		for name, s := range p.Services {
			for _, port := range s.Ports {
				if taken[port.Published] {
					t.Errorf("%s: port %s is taken twice", name, port.Published)
				}
				taken[port.Published] = true
			}
			for _, m := range s.Volumes {
				if m.Type == types.VolumeTypeBind && !m.ReadOnly {
					t.Errorf("%s: %s can be written by both", name, m.Source)
				}
			}
		}
		if subnet := p.Networks["calls"].Ipam.Config[0].Subnet; taken[subnet] {
			t.Errorf("network %s is taken twice", subnet)
		} else {
			taken[subnet] = true
		}
	}
}
