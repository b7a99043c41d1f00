//go:build linux

package lab

import (
	"errors"
	"fmt"
	"net"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// Drop loses every IPv4 packet from or to a TCP port that arrives on an interface of this network namespace, as a road does that
// is cut: nobody is told. It goes on until the returned function is called.
func Drop(iface string, port uint16) (end func() error, err error) {
	at, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, fmt.Errorf("drop packets: %w", err)
	}
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, Instructions: dropPort(port), License: "MIT"})
	if err != nil {
		return nil, fmt.Errorf("drop packets: %w", err)
	}
	attached, err := link.AttachTCX(link.TCXOptions{Interface: at.Index, Program: program, Attach: ebpf.AttachTCXIngress, Anchor: link.Head()})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("drop packets on %s: %w", iface, err), program.Close())
	}
	return func() error { return errors.Join(attached.Close(), program.Close()) }, nil
}

// dropPort is the program: behind Ethernet, and an IPv4 header without options.
func dropPort(port uint16) asm.Instructions {
	const (
		etherType, ipv4           = 12, 0x0800
		protocol, tcp             = 14 + 9, 6
		source, destination       = 14 + 20, 14 + 22
		tcxNext, tcxDrop    int32 = -1, 2
	)
	return asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1), // LoadAbs wants the packet there
		asm.LoadAbs(etherType, asm.Half),
		asm.JNE.Imm(asm.R0, ipv4, "pass"),
		asm.LoadAbs(protocol, asm.Byte),
		asm.JNE.Imm(asm.R0, tcp, "pass"),
		asm.LoadAbs(source, asm.Half),
		asm.JEq.Imm(asm.R0, int32(port), "drop"),
		asm.LoadAbs(destination, asm.Half),
		asm.JEq.Imm(asm.R0, int32(port), "drop"),
		asm.Mov.Imm(asm.R0, tcxNext).WithSymbol("pass"),
		asm.Return(),
		asm.Mov.Imm(asm.R0, tcxDrop).WithSymbol("drop"),
		asm.Return(),
	}
}
