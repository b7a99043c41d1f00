//go:build linux

package lab

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

// skbGSOSize is the offset of gso_size in struct __sk_buff (linux/bpf.h).
const skbGSOSize = 176

// TestMergedOnTC looks from TC, where TCP's merged packets are not yet cut, other than in a capture.
func TestMergedOnTC(t *testing.T) {
	for _, offloads := range []bool{false, true} {
		l := newLab(t, Options{Offloads: offloads})
		for _, attach := range []ebpf.AttachType{ebpf.AttachTCXIngress, ebpf.AttachTCXEgress} {
			counter := countMerged(t, l, attach)
			transfer(t, l, GatewayFrontIPv4, testRequest, testAnswer, 1)
			var seen uint64
			if err := counter.Lookup(uint32(0), &seen); err != nil {
				t.Fatal(err)
			}
			if offloads != (seen > 0) {
				t.Errorf("%v: %d merged packets, offloads are %v", attach, seen, offloads)
			}
		}
	}
}

// countMerged counts packets with gso_size at the gateway's front.
func countMerged(t *testing.T, l *Lab, attach ebpf.AttachType) *ebpf.Map {
	t.Helper()
	counter, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { counter.Close() })
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS,
		Instructions: asm.Instructions{
			asm.LoadMem(asm.R6, asm.R1, skbGSOSize, asm.Word),
			asm.JEq.Imm(asm.R6, 0, "next"),
			asm.StoreImm(asm.RFP, -4, 0, asm.Word),
			asm.Mov.Reg(asm.R2, asm.RFP),
			asm.Add.Imm(asm.R2, -4),
			asm.LoadMapPtr(asm.R1, counter.FD()),
			asm.FnMapLookupElem.Call(),
			asm.JEq.Imm(asm.R0, 0, "next"),
			asm.Mov.Imm(asm.R1, 1),
			asm.StoreXAdd(asm.R0, asm.R1, asm.DWord),
			asm.Mov.Imm(asm.R0, -1).WithSymbol("next"), // TCX_NEXT
			asm.Return(),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	var attached link.Link
	err = l.Gateway.Do(func() error {
		front, err := netlink.LinkByName(GatewayFrontInterface)
		if err != nil {
			return err
		}
		attached, err = link.AttachTCX(link.TCXOptions{
			Interface: front.Attrs().Index, Program: program, Attach: attach,
		})
		return err
	})
	if errors.Is(err, ebpf.ErrNotSupported) {
		skip(t, "no TCX, it came with Linux 6.6: "+err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { attached.Close() })
	return counter
}
