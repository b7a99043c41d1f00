package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/unit"
	"github.com/goccy/go-yaml"

	"fivetuple/conf"
)

const (
	// unitFolder is where the shipped units are.
	unitFolder = "../conf/systemd"
	mountUnit  = "run-fivetuple-bpf.mount"
)

// unitFile is a unit's options by "Section.Name", in the order in which they stand.
type unitFile map[string][]string

func readUnit(t *testing.T, name string) unitFile {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(unitFolder, name))
	if err != nil {
		t.Fatal(err)
	}
	options, err := unit.DeserializeOptions(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	u := unitFile{}
	for _, o := range options {
		u[o.Section+"."+o.Name] = append(u[o.Section+"."+o.Name], o.Value)
	}
	return u
}

// want checks options that stand once.
func (u unitFile) want(t *testing.T, options map[string]string) {
	t.Helper()
	for name, value := range options {
		if got, ok := u[name]; !ok || !slices.Equal(got, []string{value}) {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
}

// hardened is what all services shut off.
func hardened() map[string]string {
	options := map[string]string{"Service.ProtectSystem": "strict", "Service.SystemCallErrorNumber": "EPERM", "Service.SystemCallArchitectures": "native", "Service.LimitCORE": "0"}
	for _, name := range []string{
		"NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "ProtectControlGroups", "ProtectKernelModules",
		"ProtectKernelTunables", "ProtectKernelLogs", "RestrictNamespaces", "RestrictSUIDSGID", "LockPersonality", "MemoryDenyWriteExecute",
	} {
		options["Service."+name] = "yes"
	}
	return options
}

// TestUnitsFitTheSettings: paths, users and times are those of conf/ and of each other.
func TestUnitsFitTheSettings(t *testing.T) {
	settings := conf.Default()
	var apisix struct {
		Plugin struct {
			Path string `yaml:"path_for_test"`
		} `yaml:"ext-plugin"`
	}
	if err := yaml.Unmarshal(conf.APISIXConfig(), &apisix); err != nil {
		t.Fatal(err)
	}
	runner, agent, socket := readUnit(t, "fivetuple-runner.service"), readUnit(t, "fivetuple-agent.service"), readUnit(t, "fivetuple-runner.socket")
	socket.want(t, map[string]string{
		"Socket.ListenStream": apisix.Plugin.Path, "Socket.SocketMode": settings.Runner.SocketMode,
		"Socket.SocketUser": "fivetuple", "Socket.SocketGroup": "fivetuple", "Socket.FileDescriptorName": "fivetuple.socket",
	})
	runner.want(t, hardened())
	runner.want(t, map[string]string{
		"Service.ExecStart": "/usr/local/bin/fivetuple run", "Service.User": "fivetuple", "Service.Group": "fivetuple",
		"Service.Type": "notify", "Service.CapabilityBoundingSet": "", "Service.AmbientCapabilities": "",
		"Service.RuntimeDirectory":         strings.TrimPrefix(filepath.Dir(apisix.Plugin.Path), "/run/"),
		"Service.RuntimeDirectoryPreserve": "yes", // systemd's socket lies in it
		"Service.StateDirectory":           strings.TrimPrefix(filepath.Dir(settings.Runner.Switches), "/var/lib/"),
		"Service.LogsDirectory":            strings.TrimPrefix(filepath.Dir(settings.Calls.File), "/var/log/"),
		"Unit.Requires":                    "fivetuple-runner.socket",
	})
	if got, want := filepath.Dir(settings.Baseline.File), filepath.Dir(settings.Runner.Switches); got != want {
		t.Errorf("baselines are in %s, and the unit may write to %s", got, want)
	}
	store := runner["Service.FileDescriptorStoreMax"][0]
	runner.want(t, map[string]string{"Service.Environment": "FDSTORE=" + store + " GOMEMLIMIT=900MiB", "Service.MemoryMax": "1G", "Unit.StartLimitIntervalSec": "0"})
	agent.want(t, map[string]string{"Service.Environment": "GOMEMLIMIT=192MiB", "Service.MemoryMax": "1G", "Unit.StartLimitIntervalSec": "0"})
	stop, err := time.ParseDuration(runner["Service.TimeoutStopSec"][0])
	if err != nil || stop < settings.Runner.Drain+5*time.Second {
		t.Errorf("TimeoutStopSec: %v, %v; the runner takes %v and what storing takes", stop, err, settings.Runner.Drain)
	}
	agent.want(t, hardened())
	agent.want(t, map[string]string{
		"Service.ExecStart": "/usr/local/bin/fivetuple agent", "Service.User": "root", "Service.Group": runner["Service.Group"][0],
		"Service.CapabilityBoundingSet": "CAP_BPF CAP_NET_ADMIN CAP_PERFMON", "Service.ReadWritePaths": settings.Agent.Pins.Path, "Unit.RequiresMountsFor": settings.Agent.Pins.Path,
	})
	quota := readUnit(t, "fivetuple-quota.service")
	quota.want(t, hardened())
	quota.want(t, map[string]string{
		"Service.ExecStart": "/usr/local/bin/fivetuple quota --config /etc/fivetuple/quota.yaml", "Service.CapabilityBoundingSet": "",
		"Service.MemoryMax": "256M", "Unit.StartLimitIntervalSec": "0",
	})
	if settings.Agent.Pins.Mode != "0640" || settings.Agent.Pins.Group != "" {
		t.Errorf("the group reads the tables by mode %v, group %q", settings.Agent.Pins.Mode, settings.Agent.Pins.Group)
	}
	// A service with a mount namespace of its own, which all of the hardening makes, mounts for nobody else.
	if steps := agent["Service.ExecStartPre"]; len(steps) > 0 {
		t.Errorf("ExecStartPre: %q", steps)
	}
	readUnit(t, mountUnit).want(t, map[string]string{"Mount.Where": settings.Agent.Pins.Path, "Mount.Type": "bpf"})
	if want := strings.ReplaceAll(strings.Trim(settings.Agent.Pins.Path, "/"), "/", "-") + ".mount"; mountUnit != want {
		t.Errorf("%s is not systemd's name for %s: %s", mountUnit, settings.Agent.Pins.Path, want)
	}
	users, err := os.ReadFile(filepath.Join(unitFolder, "fivetuple.sysusers.conf"))
	if err != nil || !strings.Contains(string(users), "\nu "+runner["Service.User"][0]+" ") {
		t.Errorf("%s, %v", users, err)
	}
}

// TestUnitsAreValid asks systemd itself, where it is installed.
func TestUnitsAreValid(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		if os.Getenv("FIVETUPLE_NO_SKIP") == "1" {
			t.Fatal("a skip is a failure here: ", err)
		}
		t.Skip(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var units []string
	for _, name := range []string{"fivetuple-runner.service", "fivetuple-runner.socket", "fivetuple-agent.service", mountUnit, "fivetuple-quota.service"} {
		text, err := os.ReadFile(filepath.Join(unitFolder, name))
		if err != nil {
			t.Fatal(err)
		}
		// The program has to be there, and the user is made when it is installed.
		text = bytes.ReplaceAll(text, []byte("/usr/local/bin/fivetuple "), []byte(self+" "))
		text = bytes.ReplaceAll(text, []byte("=fivetuple\n"), []byte("=daemon\n"))
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		units = append(units, path)
	}
	out, err := exec.Command(tool, append([]string{"verify", "--recursive-errors=no", "--man=no"}, units...)...).CombinedOutput()
	if err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
