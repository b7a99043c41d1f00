package bpf

import (
	"errors"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"fivetuple/correlator/flow"
)

// TestReadProgramTakesNoCopyOfTwoMoments: something is written to the record behind the copy and before the second look.
// That copy is not taken: the next one is, which has what was written.
func TestReadProgramTakesNoCopyOfTwoMoments(t *testing.T) {
	var c flow.Conn
	for name, between := range map[string]struct {
		write asm.Instruction
		wrote func(*flow.Conn) bool
	}{
		"a writer": {
			asm.StoreImm(asm.R0, int16(unsafe.Offsetof(c.Lock)), 4000, asm.Word),
			func(c *flow.Conn) bool { return c.Lock == 4000 },
		},
		"removed, used again, and at the same word": {
			asm.StoreImm(asm.R0, int16(unsafe.Offsetof(c.ID)), 77, asm.Word), // its lower half: the upper one is 0
			func(c *flow.Conn) bool { return c.ID == 77 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newOpenTalk(t)
			program := readWith(t, p.Flows, between.write)
			s := newScratch()
			s.ask.Key = p.tuple.key(flow.TCP)
			result, err := s.runOnce(program)
			must(t, err)
			if result != readRecord || !between.wrote(&s.ask.Record.Conn) {
				t.Errorf("got %d, with %+v", result, s.ask.Record.Conn)
			}
		})
	}
}

// readWith loads ft_read with an instruction in the place of the barrier behind the copy, which one CPU does not need.
func readWith(t *testing.T, flows *ebpf.Map, write asm.Instruction) *ebpf.Program {
	t.Helper()
	const behindTheCopy = 3 // of the barriers
	spec, err := loadFivetuple()
	must(t, err)
	barriers := 0
	var record asm.Register // what points to it: the base of the last load
	instructions := spec.Programs[fivetupleProgFtRead].Instructions
	for i, ins := range instructions {
		if ins.OpCode.Class() == asm.LdXClass {
			record = ins.Src
		}
		if ins.OpCode.Class() != asm.StXClass || ins.OpCode.Mode() != asm.AtomicMode {
			continue
		}
		if barriers++; barriers == behindTheCopy {
			write.Dst = record
			instructions[i] = write
		}
	}
	if barriers != 4 {
		t.Fatalf("%d barriers", barriers)
	}
	program, err := loadReadOf(spec, flows)
	must(t, err)
	t.Cleanup(func() { _ = program.Close() })
	return program
}

// TestReaderTakesNoOthersRecord: one whose tag is not the key's is about to go, or was another's before it was looked at.
func TestReaderTakesNoOthersRecord(t *testing.T) {
	p := newPublished(t)
	p.open(peerISN, hostISN)
	r := newTestReader(t, p.pins)
	wantProgram(t, r, true)
	key := p.tuple.key(flow.TCP)
	record := lookUp(t, r, key)
	record.Conn.Tag++
	must(t, p.Flows.Put(key, &record))
	if err := r.Lookup(key, &record); !errors.Is(err, flow.ErrBusy) {
		t.Errorf("got %v", err)
	}
}
