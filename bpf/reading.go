package bpf

import (
	"errors"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"fivetuple/correlator/flow"
)

// reading is the context of the program ft_read: struct reading in read.h.
type reading struct {
	Record flow.Record
	Key    flow.Key
}

// What ft_read returns.
const (
	readNothing = iota
	readRecord
	readBusy
)

// programRun is the part of union bpf_attr that BPF_PROG_TEST_RUN takes for a program of the system call's type. On the
// 64-bit machines that the object is for, a pointer is the kernel's __aligned_u64, and the garbage collector sees it.
type programRun struct {
	program, result         uint32
	dataSizeIn, dataSizeOut uint32
	dataIn, dataOut         uint64
	repeat, duration        uint32
	contextSizeIn, _        uint32 // it is copied back to where it came from
	context                 unsafe.Pointer
}

// scratch is what a look-up hands to the kernel, and would otherwise allocate. It lives on the heap, where nothing is
// moved: so its addresses hold for as long as it is kept alive.
type scratch struct {
	run   programRun
	ask   reading
	again flow.Record
}

func newScratch() *scratch {
	s := new(scratch)
	s.run.contextSizeIn, s.run.context = uint32(unsafe.Sizeof(s.ask)), unsafe.Pointer(&s.ask)
	return s
}

// readWhole fills in the record by runs of the program, one system call each.
func (s *scratch) readWhole(v *view, record *flow.Record) error {
	for range readTries {
		result, err := s.runOnce(v.read)
		switch {
		case err != nil: // for want of memory, say
			return s.readTwice(v, record)
		case result == readNothing:
			return flow.ErrNotFound
		case result == readRecord:
			*record = s.ask.Record
			return nil
		}
	}
	return flow.ErrBusy
}

// runOnce runs the program on the key asked for. The call is made without the library, which allocates, for it is a
// third of a request's time. It is no raw one: the kernel may sleep for memory.
func (s *scratch) runOnce(program *ebpf.Program) (result uint32, err error) {
	s.run.program = uint32(program.FD())
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(&s.run)), unsafe.Sizeof(s.run))
	runtime.KeepAlive(program)
	if errno != 0 {
		return 0, errno
	}
	return s.run.result, nil
}

// readTwice fills in the record from two copies that are the same, where there is no program to read it.
func (s *scratch) readTwice(v *view, record *flow.Record) error {
	if err := lookup(v.flows, &s.ask.Key, record); err != nil {
		return err
	}
	for range readTries {
		if err := lookup(v.flows, &s.ask.Key, &s.again); err != nil {
			return err
		}
		// Two copies with the same even lock word: nobody wrote between the moments at which the two words were
		// read. The kernel may copy the rest before or after the word (fast string instructions have no order), but
		// what it copies before the word in one copy it copies before it in the other: so a byte that is the same
		// in both was read at least once between those moments.
		if record.Conn.Lock&1 == 0 && *record == s.again {
			return nil
		}
		*record = s.again
	}
	return flow.ErrBusy
}

func lookup(m *ebpf.Map, k *flow.Key, record *flow.Record) error {
	// Pointers, because the types have the tables' layout (record_test.go): nothing is marshaled or allocated.
	err := m.Lookup(unsafe.Pointer(k), unsafe.Pointer(record))
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return flow.ErrNotFound
	}
	return err
}
