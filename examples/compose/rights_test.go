package compose

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// TestPrivileges: nobody has a right that it does not need.
func TestPrivileges(t *testing.T) {
	p := project(t)
	capabilities := map[string][]string{"agent": {"BPF", "NET_ADMIN", "PERFMON"}}
	networks := map[string]string{"agent": "service:apisix"}
	for name, s := range p.Services {
		if !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.CapAdd, capabilities[name]) {
			t.Errorf("%s: drops %v and adds %v", name, s.CapDrop, s.CapAdd)
		}
		if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || s.Privileged {
			t.Errorf("%s: may gain privileges", name)
		}
		if s.NetworkMode != networks[name] || s.Pid != "" || s.Ipc != "" || s.UserNSMode != "" || len(s.Devices) > 0 {
			t.Errorf("%s: shares what it should not: network %q", name, s.NetworkMode)
		}
		if !s.ReadOnly && name != "apisix" { // it writes its nginx.conf
			t.Errorf("%s: its file system can be written", name)
		}
		if name == "agent" || name == "apisix" { // APISIX's image has a user of its own
			continue
		}
		if uid, gid := user(t, p, name); uid == "0" || gid == "0" {
			t.Errorf("%s: runs as %s:%s", name, uid, gid)
		}
	}
}

// TestSeccomp: the runner alone has a profile of its own, which opens bpf(2) and is otherwise narrower than Docker's.
func TestSeccomp(t *testing.T) {
	const own = "seccomp:./seccomp.json"
	for name, s := range project(t).Services {
		if slices.ContainsFunc(s.SecurityOpt, func(o string) bool { return strings.HasPrefix(o, "seccomp") }) != (name == "runner") {
			t.Errorf("%s: security_opt %v", name, s.SecurityOpt)
		}
		if name == "runner" && !slices.Contains(s.SecurityOpt, own) {
			t.Errorf("runner: security_opt %v, want %s", s.SecurityOpt, own)
		}
	}
	var profile struct {
		DefaultAction string
		Syscalls      []struct {
			Names  []string
			Action string
			Args   []struct{ Value uint64 }
		}
	}
	if err := json.Unmarshal(read(t, "seccomp.json"), &profile); err != nil {
		t.Fatal(err)
	}
	if profile.DefaultAction != "SCMP_ACT_ERRNO" {
		t.Errorf("default %s", profile.DefaultAction)
	}
	allowed := map[string]bool{} // true: whatever its arguments
	for _, rule := range profile.Syscalls {
		for _, name := range rule.Names {
			if rule.Action == "SCMP_ACT_ALLOW" {
				allowed[name] = allowed[name] || len(rule.Args) == 0
			}
		}
	}
	for _, name := range []string{"bpf", "execve", "accept4", "futex", "fchmodat", "unlinkat"} {
		if !allowed[name] {
			t.Errorf("%s is refused", name)
		}
	}
	for _, name := range []string{
		"clone", "clone3", "unshare", "setns", "mount", "fsopen", "ptrace", "process_vm_readv", "perf_event_open", "io_uring_setup",
		"keyctl", "add_key", "userfaultfd", "init_module", "kexec_load", "setuid", "socket", "open_by_handle_at", "seccomp",
	} {
		if allowed[name] {
			t.Errorf("%s is allowed", name)
		}
	}
}
