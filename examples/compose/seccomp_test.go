package compose

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// profile is seccomp.json: which system calls of the runner's container the kernel answers.
type profile struct {
	DefaultAction string
	Syscalls      []struct {
		Names  []string
		Action string
		Args   []struct {
			Index           int
			Value, ValueTwo uint64
			Op              string
		}
	}
}

func readProfile(t *testing.T) profile {
	t.Helper()
	var p profile
	if err := json.Unmarshal(read(t, "seccomp.json"), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// allows reports whether the profile lets a system call pass whatever its arguments are.
func (p profile) allows(name string) bool {
	for _, rule := range p.Syscalls {
		if rule.Action == "SCMP_ACT_ALLOW" && len(rule.Args) == 0 && slices.Contains(rule.Names, name) {
			return true
		}
	}
	return false
}

// mentions reports whether the profile has any rule for a system call.
func (p profile) mentions(name string) bool {
	for _, rule := range p.Syscalls {
		if slices.Contains(rule.Names, name) {
			return true
		}
	}
	return false
}

// traced is one line of strace's: the system call's name and the text of its arguments.
type traced struct{ name, args string }

// call takes a line of `strace -f -o FILE` apart. The second half of a call that was interrupted in the output has its name only.
var call = regexp.MustCompile(`^\d+\s+(?:<\.\.\. )?([a-z_0-9]+)(?:\((.*)| resumed>)`)

// noCall begins the name of a negative number, which strace prints when a thread is interrupted as it enters a call.
const noCall = "syscall_0xffffffff"

func parseTrace(text string) (all []traced) {
	for line := range strings.Lines(text) {
		if m := call.FindStringSubmatch(line); m != nil && !strings.HasPrefix(m[1], noCall) {
			all = append(all, traced{m[1], m[2]})
		}
	}
	return all
}

// refused returns why the profile does not let a traced call pass; empty: it does.
func (p profile) refused(c traced) string {
	switch {
	case p.allows(c.name):
		return ""
	case !p.mentions(c.name):
		return "not in the profile"
	case c.args == "": // the half without arguments; the other half is judged
		return ""
	}
	switch c.name {
	case "socket": // by its domain, and netlink by its protocol
		domains := map[string]uint64{"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}
		name, _, _ := strings.Cut(c.args, ",")
		for _, rule := range p.Syscalls {
			if slices.Contains(rule.Names, "socket") && rule.Args[0].Op == "SCMP_CMP_EQ" && rule.Args[0].Value == domains[name] &&
				(len(rule.Args) == 1 || strings.Contains(c.args, "NETLINK_ROUTE")) {
				return ""
			}
		}
		return "with these arguments: " + c.args
	case "clone": // threads only
		if !strings.Contains(c.args, "CLONE_NEW") {
			return ""
		}
		return "with a new namespace"
	}
	return "with these arguments: " + c.args
}

// TestSeccompIsNarrow: the runner alone has a profile of its own. It opens bpf(2), and is otherwise narrower than Docker's.
func TestSeccompIsNarrow(t *testing.T) {
	const own = "seccomp:./seccomp.json"
	for name, s := range project(t).Services {
		if got := slices.ContainsFunc(s.SecurityOpt, func(o string) bool { return strings.HasPrefix(o, "seccomp") }); got != isRunner(name) {
			t.Errorf("%s: security_opt %v", name, s.SecurityOpt)
		}
		if isRunner(name) && !slices.Contains(s.SecurityOpt, own) {
			t.Errorf("%s: security_opt %v, want %s", name, s.SecurityOpt, own)
		}
	}
	p := readProfile(t)
	if p.DefaultAction != "SCMP_ACT_ERRNO" {
		t.Errorf("default %s", p.DefaultAction)
	}
	for _, name := range []string{
		"clone", "clone3", "unshare", "setns", "mount", "fsopen", "ptrace", "process_vm_readv", "perf_event_open", "io_uring_setup",
		"keyctl", "add_key", "userfaultfd", "init_module", "kexec_load", "setuid", "socket", "open_by_handle_at", "seccomp",
	} {
		if p.allows(name) {
			t.Errorf("%s is allowed", name)
		}
	}
}

func TestRefused(t *testing.T) {
	p := readProfile(t)
	for line, passes := range map[string]bool{
		`12 bpf(BPF_OBJ_GET, {pathname="x"}, 24) = 3`:                      true,
		`12 socket(AF_INET6, SOCK_STREAM, 0) = 3`:                          true,
		`12 socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE) = 3`:               true,
		`12 socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER) = 3`:           false,
		`12 socket(AF_PACKET, SOCK_RAW, 0) = 3`:                            false,
		`12 <... socket resumed>) = 3`:                                     true,
		`12 clone(child_stack=0xc000, flags=CLONE_VM|CLONE_THREAD) = 13`:   true,
		`12 clone(child_stack=0xc000, flags=CLONE_NEWUSER|SIGCHLD) = 13`:   false,
		`12 mount("a", "b", "bpf", 0, NULL) = -1 EPERM`:                    false,
		`12 <... ptrace resumed>) = 0`:                                     false,
		`12 futex(0xc000, FUTEX_WAIT_PRIVATE, 0, NULL <unfinished ...>`:    true,
		`12 --- SIGURG {si_signo=SIGURG, si_code=SI_TKILL, si_pid=12} ---`: true,
	} {
		why := ""
		for _, c := range parseTrace(line) {
			why += p.refused(c)
		}
		if (why == "") != passes {
			t.Errorf("%s: passes %v, want %v: %s", line, !passes, passes, why)
		}
	}
}
