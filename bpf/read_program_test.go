package bpf

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"fivetuple/correlator/flow"
)

// pinsOf are the pins of published tables, as their agent has them.
func pinsOf(p *published) *pins { return &pins{root: p.pins, mode: 0o440, gid: -1} }

// TestReadProgramOnlyReads: the verifier takes ft_read over tables that no program may write, and refuses the others.
func TestReadProgramOnlyReads(t *testing.T) {
	needRoot(t)
	for name, reads := range map[string]bool{fivetupleProgFtRead: true, fivetupleProgFtIngress: false, fivetupleProgFtRemove: false} {
		spec, err := loadFivetuple()
		must(t, err)
		for _, m := range spec.Maps {
			if !strings.HasPrefix(m.Name, ".") { // its constants: read-only as they are
				m.Flags |= unix.BPF_F_RDONLY_PROG
			}
		}
		for other := range spec.Programs {
			if other != name {
				delete(spec.Programs, other)
			}
		}
		loaded, err := ebpf.NewCollection(spec)
		if reads {
			must(t, err)
			loaded.Close()
		} else if !errors.Is(err, unix.EACCES) {
			t.Errorf("%s, over tables that it may not write: %v", name, err)
		}
	}
}

// TestReadProgramCallsLookupsOnly: no helper is called that does anything else than look an entry up.
func TestReadProgramCallsLookupsOnly(t *testing.T) {
	spec, err := loadFivetuple()
	must(t, err)
	calls := 0
	for _, ins := range spec.Programs[fivetupleProgFtRead].Instructions {
		if ins.OpCode.JumpOp() != asm.Call {
			continue
		}
		calls++
		if !ins.IsBuiltinCall() || ins.Constant != int64(asm.FnMapLookupElem) {
			t.Errorf("it calls %v", ins)
		}
	}
	if calls == 0 {
		t.Error("it looks nothing up")
	}
}

// TestReaderFollowsTheProgram: it comes, is of another table, goes, and comes again, while the reader lives.
func TestReaderFollowsTheProgram(t *testing.T) {
	p := newPublished(t)
	p.open(peerISN, hostISN)
	key := p.tuple.key(flow.TCP)
	must(t, os.Remove(p.readPin()))
	r := newTestReader(t, p.pins)
	wantProgram(t, r, false)
	lookUp(t, r, key)

	pins := pinsOf(p)
	must(t, p.publishRead(pins, tablesDir(t, p.pins)))
	wantProgram(t, r, true)
	before := r.view.Load()
	want := lookUp(t, r, key)

	must(t, p.publishRead(pins, tablesDir(t, p.pins)))
	wantProgram(t, r, true)
	if r.view.Load().inodes == before.inodes {
		t.Error("the program of before is still read by")
	}
	same(t, lookUp(t, r, key), want)

	must(t, os.Remove(p.readPin()))
	wantProgram(t, r, false)
	same(t, lookUp(t, r, key), want)
}

// TestReaderLeavesProgramOfAnotherTable: an agent that knows of no such program has made the table of flows anew. It does
// not help that somebody has bound that table to the program.
func TestReaderLeavesProgramOfAnotherTable(t *testing.T) {
	p := newPublished(t)
	r := newTestReader(t, p.pins)
	wantProgram(t, r, true)
	fresh := newTalk(t)
	fresh.open(peerISN, hostISN)
	path := filepath.Join(tablesDir(t, p.pins), fivetupleMapFlows)
	must(t, os.Remove(path))
	must(t, fresh.Flows.Pin(path))
	wantProgram(t, r, false)
	lookUp(t, r, fresh.tuple.key(flow.TCP))

	program, err := ebpf.LoadPinnedProgram(p.readPin(), nil)
	must(t, err)
	t.Cleanup(func() { _ = program.Close() })
	must(t, program.BindMap(fresh.Flows))
	wantProgram(t, newTestReader(t, p.pins), false)

	must(t, fresh.publishRead(pinsOf(p), tablesDir(t, p.pins)))
	wantProgram(t, r, true)
	lookUp(t, r, fresh.tuple.key(flow.TCP))
}

// TestReaderLeavesForeignProgram: whatever has the program's name is run only if it is that.
func TestReaderLeavesForeignProgram(t *testing.T) {
	p := newPublished(t)
	p.open(peerISN, hostISN)
	for _, program := range []*ebpf.Program{p.Ingress, otherSyscall(t, p.Flows)} {
		must(t, os.Remove(p.readPin()))
		must(t, program.Pin(p.readPin()))
		r := newTestReader(t, p.pins)
		wantProgram(t, r, false)
		lookUp(t, r, p.tuple.key(flow.TCP))
	}
	must(t, os.Remove(p.readPin()))
	must(t, newTalk(t).UDP.Pin(p.readPin()))
	wantProgram(t, newTestReader(t, p.pins), false)
}

// otherSyscall returns a program that does nothing, with a name of its own, and is bound to the table of flows.
func otherSyscall(t *testing.T, flows *ebpf.Map) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "ft_other", Type: ebpf.Syscall, Flags: unix.BPF_F_SLEEPABLE, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, readRecord), asm.Return()},
	})
	must(t, err)
	t.Cleanup(func() { _ = p.Close() })
	must(t, p.BindMap(flows))
	return p
}

// TestReaderWithoutRightToTheProgram reads by two copies.
func TestReaderWithoutRightToTheProgram(t *testing.T) {
	p := publishTables(t, pinFolder(t, true), "0644", "")
	p.open(peerISN, hostISN)
	must(t, os.Chmod(p.readPin(), 0o400))
	if out := runChild(t, "read", pinsEnv+"="+p.pins); !strings.Contains(out, "found by two copies") {
		t.Errorf("got %q", out)
	}
}

// TestReaderWhoseRunFails reads that record by two copies.
func TestReaderWhoseRunFails(t *testing.T) {
	p := newPublished(t)
	p.open(peerISN, hostISN)
	r := newTestReader(t, p.pins)
	wantProgram(t, r, true)
	must(t, r.view.Load().read.Close())
	var record flow.Record
	must(t, r.Lookup(p.tuple.key(flow.TCP), &record))
	same(t, record.Conn.Dir, p.flow().Conn.Dir)
}

// TestProgramThatDoesNotLoadLeavesNone: not an earlier agent's either, which may be of another table.
func TestProgramThatDoesNotLoadLeavesNone(t *testing.T) {
	p := newPublished(t)
	closed, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	must(t, err)
	t.Cleanup(func() { _ = closed.Close() })
	for range 2 { // there is none the second time
		if err := (&tables{Flows: closed}).publishRead(pinsOf(p), tablesDir(t, p.pins)); err == nil {
			t.Error("no error")
		}
		if _, err := os.Stat(p.readPin()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the earlier program: %v", err)
		}
	}
	wantProgram(t, newTestReader(t, p.pins), false)
}

// TestProgramOverWhatACutStartLeft: an agent that was killed between two steps leaves a name behind.
func TestProgramOverWhatACutStartLeft(t *testing.T) {
	p := newPublished(t)
	must(t, newTalk(t).Meta.Pin(p.readPin()+"_new"))
	must(t, p.publishRead(pinsOf(p), tablesDir(t, p.pins)))
	wantProgram(t, newTestReader(t, p.pins), true)
	if _, err := os.Stat(p.readPin() + "_new"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left: %v", err)
	}
}

// TestNewAgentUnderLiveReader: look-ups go on while one agent follows another, and the reader ends with the new program.
func TestNewAgentUnderLiveReader(t *testing.T) {
	inNamespace(t)
	root := pinFolder(t, true)
	a := startAgent(t, agentOptions(root, onExitKeep))
	c, key := dial(t, echo(t, "127.0.0.1:0"))
	call(t, c, "hello")
	r := newTestReader(t, root)
	first := r.view.Load().inodes
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- readUntil(stop, r, key) }()
	must(t, a.Close())
	wantProgram(t, r, true)
	startAgent(t, agentOptions(root))
	wantProgram(t, r, true)
	close(stop)
	must(t, <-done)
	wantProgram(t, r, true) // now that nobody else refreshes, and keeps what it saw before
	if r.view.Load().inodes == first {
		t.Error("the reader runs the old program")
	}
	call(t, c, "again")
	same(t, lookUp(t, r, key).Conn.Dir[flow.RX].Payload, uint64(10))
}

func readUntil(stop <-chan struct{}, r *Reader, key flow.Key) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		var record flow.Record
		if err := errors.Join(r.Refresh(), r.Lookup(key, &record)); err != nil {
			return err
		}
		if record.Conn.Dir[flow.RX].Payload != 5 {
			return errors.New("not the record")
		}
	}
}

// TestUnprivilegedGainsNothing: who may run the program can do nothing else with it.
func TestUnprivilegedGainsNothing(t *testing.T) {
	p := publishTables(t, pinFolder(t, true), "0644", "")
	p.open(peerISN, hostISN)
	before := p.flow()
	out := runChild(t, "abuse", pinsEnv+"="+p.pins)
	if out != "run: 1\npin: true\nlink: true\nread: true" {
		t.Errorf("got %q", out)
	}
	same(t, p.flow(), before)
}
