package compose

import (
	"slices"
	"strings"
	"testing"
)

func isRunner(service string) bool { return strings.HasPrefix(service, "runner") }
func isAgent(service string) bool  { return strings.HasPrefix(service, "agent") }
func isAPISIX(service string) bool { return strings.HasPrefix(service, "apisix") }

// TestPrivileges: no service has a right that it does not need.
func TestPrivileges(t *testing.T) {
	p := project(t)
	for name, s := range p.Services {
		var capabilities []string
		var network, users string
		if isAgent(name) {
			capabilities, network = []string{"BPF", "NET_ADMIN", "PERFMON"}, "service:"+strings.Replace(name, "agent", "apisix", 1)
		}
		if isAgent(name) || isRunner(name) || isAPISIX(name) {
			users = "host" // they share files by the numbers of users and groups
		}
		if !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.CapAdd, capabilities) {
			t.Errorf("%s: drops %v and adds %v", name, s.CapDrop, s.CapAdd)
		}
		if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || s.Privileged {
			t.Errorf("%s: may gain privileges", name)
		}
		if s.NetworkMode != network || s.UserNSMode != users || s.Pid != "" || s.Ipc != "" || len(s.Devices) > 0 {
			t.Errorf("%s: shares what it should not: network %q, users %q", name, s.NetworkMode, s.UserNSMode)
		}
		if !s.ReadOnly && !isAPISIX(name) { // it writes its nginx.conf
			t.Errorf("%s: its file system can be written", name)
		}
		if isAgent(name) || isAPISIX(name) { // root with three capabilities; the user of APISIX's image
			continue
		}
		if uid, gid := user(t, p, name); uid == "0" || gid == "0" {
			t.Errorf("%s: runs as %s:%s", name, uid, gid)
		}
	}
}
