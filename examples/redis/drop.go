//go:build linux

package redistest

import (
	"net"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// What the program that drops packets knows of a frame: Ethernet without VLAN tags, headers without options.
const (
	ethernetLen  = 14
	offsetType   = 12
	offsetProto4 = ethernetLen + 9
	offsetProto6 = ethernetLen + 6
	offsetPorts4 = ethernetLen + 20
	offsetPorts6 = ethernetLen + 40
	protoTCP     = 6
	tcxDrop      = 2  // TCX_DROP of linux/bpf.h
	tcxNext      = -1 // TCX_NEXT
	sourcePort   = 0
	destination  = 2
)

// Drop loses all packets from and to the server on an interface of its network, until the function that it returns is called: a
// partition in which nobody is told anything. Other traffic of the interface goes on.
func (s *Server) Drop(ifname string) (heal func()) {
	s.t.Helper()
	var links []link.Link
	heal = func() {
		for _, l := range links {
			_ = l.Close()
		}
		links = nil
	}
	s.t.Cleanup(func() { heal() })
	inside := func(do func() error) error { return do() }
	if s.options.In != nil {
		inside = s.options.In.Do
	}
	err := inside(func() error {
		device, err := net.InterfaceByName(ifname)
		if err != nil {
			return err
		}
		for at, side := range map[ebpf.AttachType]int32{ebpf.AttachTCXIngress: destination, ebpf.AttachTCXEgress: sourcePort} {
			l, err := s.drop(device.Index, at, side)
			if err != nil {
				return err
			}
			links = append(links, l)
		}
		return nil
	})
	if err != nil {
		s.t.Fatalf("drop packets on %s: %v", ifname, err)
	}
	return heal
}

// drop attaches the program before all others, so that none of them sees what is lost on its way in.
func (s *Server) drop(device int, at ebpf.AttachType, side int32) (link.Link, error) {
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "Apache-2.0", Instructions: s.dropper(side),
	})
	if err != nil {
		return nil, err
	}
	defer program.Close() // the link keeps it
	return link.AttachTCX(link.TCXOptions{Interface: device, Program: program, Attach: at, Anchor: link.Head()})
}

// dropper drops TCP with the server's port on one side. A frame that is too short to tell ends the program with 0, TCX_PASS.
func (s *Server) dropper(side int32) asm.Instructions {
	branch := func(proto, ports int32) asm.Instructions {
		return asm.Instructions{
			asm.LoadAbs(proto, asm.Byte),
			asm.JNE.Imm(asm.R0, protoTCP, "next"),
			asm.LoadAbs(ports+side, asm.Half),
			asm.JEq.Imm(asm.R0, int32(s.port), "drop"), //nolint:gosec // a port
			asm.Ja.Label("next"),
		}
	}
	four, six := branch(offsetProto4, offsetPorts4), branch(offsetProto6, offsetPorts6)
	four[0], six[0] = four[0].WithSymbol("four"), six[0].WithSymbol("six")
	program := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1), // where LoadAbs wants the packet
		asm.LoadAbs(offsetType, asm.Half),
		asm.JEq.Imm(asm.R0, 0x0800, "four"),
		asm.JEq.Imm(asm.R0, 0x86dd, "six"),
		asm.Ja.Label("next"),
	}
	program = append(append(program, four...), six...)
	return append(program,
		asm.Mov.Imm(asm.R0, tcxNext).WithSymbol("next"), asm.Return(),
		asm.Mov.Imm(asm.R0, tcxDrop).WithSymbol("drop"), asm.Return(),
	)
}
