package compose

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"

	"fivetuple/conf"
)

// TestSocket: where APISIX calls, the runner listens; the runner can create the socket and APISIX can reach it.
func TestSocket(t *testing.T) {
	p, s, g := project(t), settings(t), gateway(t)
	socket := g.ExtPlugin.PathForTest
	if s.Runner.Socket != socket {
		t.Errorf("the runner listens on %s, APISIX calls %s", s.Runner.Socket, socket)
	}
	for i, apisix := range of("apisix") {
		runner := of("runner")[i]
		ours, theirs := mount(t, p, runner, path.Dir(socket)), mount(t, p, apisix, path.Dir(socket))
		if ours.Type != types.VolumeTypeVolume || ours.Source != theirs.Source || theirs.Type != ours.Type {
			t.Errorf("%s has %s and %s %s at %s", runner, ours.Source, apisix, theirs.Source, path.Dir(socket))
		}
		if ours.ReadOnly {
			t.Errorf("%s cannot create its socket", runner)
		}
		uid, gid := user(t, p, runner)
		opts := options(p.Volumes[ours.Source].DriverOpts["o"])
		mode, err := strconv.ParseUint(opts["mode"], 8, 32)
		if err != nil {
			t.Fatal(err)
		}
		if opts["uid"] != uid || mode&0o300 != 0o300 {
			t.Errorf("user %s of %s cannot write into a folder of user %s with mode %o", uid, runner, opts["uid"], mode)
		}
		if opts["gid"] != gid || mode&0o010 == 0 || !slices.Contains(p.Services[apisix].GroupAdd, gid) {
			t.Errorf("%s with the groups %v cannot enter a folder of group %s with mode %o", apisix, p.Services[apisix].GroupAdd, opts["gid"], mode)
		}
		if mode&0o007 != 0 {
			t.Errorf("mode %o: every user can reach the socket", mode)
		}
	}
}

// TestPins: agent and runner have the same BPF file system, each gateway its own, where the settings say, and only the agent
// may write.
func TestPins(t *testing.T) {
	p, s := project(t), settings(t)
	pins := s.Agent.Pins
	if pins.Path != conf.Default().Agent.Pins.Path {
		t.Errorf("pins at %s, not at the default", pins.Path)
	}
	if pins.Mode != "0640" {
		t.Errorf("mode %s of the pins, want one by which the group reads and others do not", pins.Mode)
	}
	seen := map[string]string{}
	for i, agent := range of("agent") {
		runner := of("runner")[i]
		theirs, ours := mount(t, p, agent, pins.Path), mount(t, p, runner, pins.Path)
		if theirs.Type != types.VolumeTypeVolume || theirs.Source != ours.Source || theirs.ReadOnly || !ours.ReadOnly {
			t.Errorf("%s has %s %s (read-only %v) at the pins, %s has %s (read-only %v)",
				agent, theirs.Type, theirs.Source, theirs.ReadOnly, runner, ours.Source, ours.ReadOnly)
		}
		if other, ok := seen[ours.Source]; ok {
			t.Errorf("%s and %s share %s", runner, other, ours.Source)
		}
		seen[ours.Source] = runner
		want := map[string]string{"type": "bpf", "device": "bpf", "o": "uid=0,gid=" + pins.Group + ",mode=0750"}
		if d := cmp.Diff(want, map[string]string(p.Volumes[ours.Source].DriverOpts)); d != "" {
			t.Errorf("volume %s (-want +got):\n%s", ours.Source, d)
		}
		if _, group := user(t, p, runner); pins.Group != group {
			t.Errorf("group %s may read the pins, %s has %s", pins.Group, runner, group)
		}
		if owner, group := user(t, p, agent); owner != "0" || group != pins.Group {
			t.Errorf("%s is %s:%s: without CAP_CHOWN it gives files to its own group only", agent, owner, group)
		}
	}
}

// TestWritten: what the runner writes is on volumes that outlive its container, one for each gateway, at the paths of the
// settings; the image has these folders, owned by the runner's user, and a new volume takes that owner.
func TestWritten(t *testing.T) {
	p, s := project(t), settings(t)
	image := instructions(string(read(t, "../../Dockerfile")))
	has(t, image[0], "RUN mkdir -p /out/var/lib/fivetuple /out/var/log/fivetuple")
	has(t, image[2], "COPY --from=build --chown=65534:65534 /out/var/ /var/")
	for _, file := range []string{s.Calls.File, s.Baseline.File, s.Runner.Switches} {
		first, second := mount(t, p, "runner", path.Dir(file)), mount(t, p, "runner-2", path.Dir(file))
		if first.Type != types.VolumeTypeVolume || first.ReadOnly || first.Source == second.Source {
			t.Errorf("%s: %s %s, read-only %v, and %s", file, first.Type, first.Source, first.ReadOnly, second.Source)
		}
		if dir := path.Dir(file); dir != "/var/lib/fivetuple" && dir != "/var/log/fivetuple" {
			t.Errorf("%s is in no folder of the image", file)
		}
	}
}

// options takes mount options apart.
func options(s string) map[string]string {
	all := map[string]string{}
	for o := range strings.SplitSeq(s, ",") {
		k, v, _ := strings.Cut(o, "=")
		all[k] = v
	}
	return all
}
