package compose

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"fivetuple/conf"
)

// TestSocket: where APISIX calls, the runner listens; the runner can create the socket and APISIX can reach it.
func TestSocket(t *testing.T) {
	p, s, g := project(t), settings(t), gateway(t)
	socket := g.ExtPlugin.PathForTest
	if s.Runner.Socket != socket {
		t.Errorf("the runner listens on %s, APISIX calls %s", s.Runner.Socket, socket)
	}
	ours, theirs := mount(t, p, "runner", path.Dir(socket)), mount(t, p, "apisix", path.Dir(socket))
	if ours.Type != types.VolumeTypeVolume || ours.Source != theirs.Source || theirs.Type != ours.Type {
		t.Errorf("the runner has %s and APISIX %s at %s", ours.Source, theirs.Source, path.Dir(socket))
	}
	if ours.ReadOnly {
		t.Error("the runner cannot create its socket")
	}
	uid, gid := user(t, p, "runner")
	opts := options(p.Volumes[ours.Source].DriverOpts["o"])
	mode, err := strconv.ParseUint(opts["mode"], 8, 32)
	if err != nil {
		t.Fatal(err)
	}
	if opts["uid"] != uid || mode&0o300 != 0o300 {
		t.Errorf("user %s of the runner cannot write into a folder of user %s with mode %o", uid, opts["uid"], mode)
	}
	if opts["gid"] != gid || mode&0o010 == 0 || !slices.Contains(p.Services["apisix"].GroupAdd, gid) {
		t.Errorf("APISIX with the groups %v cannot pass a folder of group %s with mode %o",
			p.Services["apisix"].GroupAdd, opts["gid"], mode)
	}
	if mode&0o007 != 0 {
		t.Errorf("mode %o: the socket is everybody's", mode)
	}
}

// TestPins: agent and runner see the same tables, where the settings say, and only the agent may write.
func TestPins(t *testing.T) {
	p, s := project(t), settings(t)
	pins := s.Agent.Pins
	if pins.Path != conf.Default().Agent.Pins.Path {
		t.Errorf("pins at %s, not at the default", pins.Path)
	}
	for service, readOnly := range map[string]bool{"agent": false, "runner": true} {
		m := mount(t, p, service, pins.Path)
		if m.Type != types.VolumeTypeBind || m.Source != hostPins || m.ReadOnly != readOnly {
			t.Errorf("%s has %s %s at the pins, read-only %v", service, m.Type, m.Source, m.ReadOnly)
		}
	}
	if pins.Mode != "0640" {
		t.Errorf("mode %s of the pins, want one by which the group reads and others do not", pins.Mode)
	}
	_, runner := user(t, p, "runner")
	owner, agent := user(t, p, "agent")
	if pins.Group != runner {
		t.Errorf("group %s may read the pins, the runner has %s", pins.Group, runner)
	}
	if owner != "0" || agent != pins.Group {
		t.Errorf("the agent is %s:%s: without CAP_CHOWN it gives files to its own group only", owner, agent)
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
