package bpf

import (
	"errors"
	"fmt"
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

// haveAtomics loads a program of one compare-and-exchange.
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
	if err != nil {
		return ebpf.ErrNotSupported
	}
	return p.Close()
}

// explain adds what is missing to an error of loading or attaching. It probes only now, on the way out.
func explain(err error) error {
	var missing []string
	for _, c := range []struct {
		bit  uint
		name string
	}{{unix.CAP_BPF, "CAP_BPF"}, {unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"}} {
		if !hasCapability(c.bit) {
			missing = append(missing, "capability "+c.name)
		}
	}
	if len(missing) == 0 {
		for _, r := range requirements() {
			if errors.Is(r.probe(), ebpf.ErrNotSupported) {
				missing = append(missing, fmt.Sprintf("%s: in Linux since %s", r.what, r.since))
			}
		}
	}
	if len(missing) == 0 {
		return err
	}
	return fmt.Errorf("%w: %s: %w", ErrMissing, strings.Join(missing, "; "), err)
}

// hasCapability says whether this process has a capability in force. CAP_SYS_ADMIN stands for CAP_BPF, as it does in
// the kernel (include/linux/capability.h, bpf_capable).
func hasCapability(bit uint) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return false
	}
	has := func(bit uint) bool { return data[bit/32].Effective&(1<<(bit%32)) != 0 }
	return has(bit) || bit == unix.CAP_BPF && has(unix.CAP_SYS_ADMIN)
}
