package bpf

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// ErrMissing is what the kernel, or this process, lacks to run the program.
var ErrMissing = errors.New("missing")

// requirement is something that the program cannot do without.
type requirement struct {
	what  string
	since string // the Linux version that brought it
	probe func() error
}

func requirements() []requirement {
	helper := func(f asm.BuiltinFunc) func() error {
		return func() error { return features.HaveProgramHelper(ebpf.SchedCLS, f) }
	}
	return []requirement{
		{"TC programs", "4.1", func() error { return features.HaveProgramType(ebpf.SchedCLS) }},
		{"LRU hash tables", "4.10", func() error { return features.HaveMapType(ebpf.LRUHash) }},
		{"sockets found from TC programs (bpf_skc_lookup_tcp)", "5.2", helper(asm.FnSkcLookupTcp)},
		{"atomic exchanges", "5.12", haveAtomics},
		{"loops by helper (bpf_loop)", "5.17", helper(asm.FnLoop)},
	}
}

// haveAtomics loads a program of one compare-and-exchange. A kernel that does not know it says EINVAL.
func haveAtomics() error {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SocketFilter, License: "GPL",
		Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R0, 0),
			asm.StoreMem(asm.RFP, -8, asm.R0, asm.DWord),
			asm.Mov.Imm(asm.R1, 1),
			asm.CmpXchg.Mem(asm.RFP, asm.R1, asm.DWord, -8),
			asm.Mov.Imm(asm.R0, 0),
			asm.Return(),
		},
	})
	if errors.Is(err, unix.EINVAL) {
		return ebpf.ErrNotSupported
	}
	if err != nil {
		return err
	}
	return p.Close()
}

// explain returns the error of a step, with what is missing for it. It probes only now, on the way out, and names only
// what a probe has shown.
func explain(step string, err error) error {
	missing := missingCapabilities()
	for _, why := range []string{refusedBPF(), foreignUserNamespace()} {
		if len(missing) == 0 && why != "" {
			missing = []string{why}
		}
	}
	if len(missing) == 0 {
		for _, r := range requirements() {
			if errors.Is(r.probe(), ebpf.ErrNotSupported) {
				missing = append(missing, fmt.Sprintf("%s: in Linux since %s", r.what, r.since))
			}
		}
	}
	if _, refused := errors.AsType[*ebpf.VerifierError](err); refused && len(missing) == 0 && !hasCapability(unix.CAP_PERFMON) {
		missing = append(missing, "capability CAP_PERFMON (in Linux since 5.8): without it the verifier of many kernels refuses the program")
	}
	if len(missing) == 0 && errors.Is(err, unix.ENOMEM) {
		return fmt.Errorf("%s: %w: the tables do not fit into the memory limit of this container or service, if it has one: raise it, or lower agent.tables "+
			"(704 bytes for each of agent.tables.flows)", step, err)
	}
	if len(missing) == 0 {
		return fmt.Errorf("%s: %w", step, err)
	}
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		err = errno // without the guesses that package ebpf adds to it, like the limit of locked memory
	}
	return fmt.Errorf("%w: %s: %s: %w", ErrMissing, strings.Join(missing, "; "), step, err)
}

func missingCapabilities() (missing []string) {
	for _, c := range []struct {
		bit  uint
		name string
	}{{unix.CAP_BPF, "CAP_BPF"}, {unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"}} {
		if !hasCapability(c.bit) {
			missing = append(missing, "capability "+c.name)
		}
	}
	return missing
}

const (
	// initialUserNamespace is the inode of the host's own user namespace (include/linux/proc_ns.h, PROC_USER_INIT_INO).
	initialUserNamespace = 0xEFFFFFFD
	// noCommand is a command that bpf(2) does not have.
	noCommand = 1 << 30
)

// refusedBPF returns why this process may not use bpf(2) at all; "" where it may, as far as a probe shows.
func refusedBPF() string {
	_, _, errno := unix.Syscall(unix.SYS_BPF, noCommand, 0, 0)
	if errno == unix.EPERM || errno == unix.ENOSYS || errno == unix.EACCES {
		if hasSeccompFilter() {
			return fmt.Sprintf("bpf(2): the seccomp profile of this process refuses it (%v): run the container with a profile that allows bpf", errno)
		}
		return fmt.Sprintf("bpf(2): the kernel, or a security module, refuses it to this process (%v)", errno)
	}
	return ""
}

// foreignUserNamespace returns why this process' capabilities do not count for bpf(2); "" where they do.
func foreignUserNamespace() string {
	var ns unix.Stat_t
	if unix.Stat("/proc/self/ns/user", &ns) == nil && ns.Ino != initialUserNamespace {
		return "capability CAP_BPF in the host's user namespace: this process is in another one (userns-remap, rootless container), " +
			"where the kernel does not accept it for bpf(2): run the agent with the host's user namespace"
	}
	return ""
}

// hasSeccompFilter reports whether a seccomp filter decides on this process' system calls (proc(5), Seccomp: 2).
func hasSeccompFilter() bool {
	status, err := os.ReadFile("/proc/self/status")
	return err == nil && bytes.Contains(status, []byte("\nSeccomp:\t2\n"))
}

// hasCapability reports whether this process has a capability in force. CAP_SYS_ADMIN stands for CAP_BPF and CAP_PERFMON,
// as it does in the kernel (include/linux/capability.h, bpf_capable and perfmon_capable).
func hasCapability(bit uint) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return false
	}
	has := func(bit uint) bool { return data[bit/32].Effective&(1<<(bit%32)) != 0 }
	return has(bit) || bit != unix.CAP_NET_ADMIN && has(unix.CAP_SYS_ADMIN)
}
