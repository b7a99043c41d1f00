package bpf

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"fivetuple/correlator/flow"
)

// input is a packet that is given to the kernel program and to the model.
type input struct {
	frame   []byte
	lost    int  // bytes behind them that a capture does not have
	capture bool // for a program that replays captures
	dir     int
	now     uint64 // nanoseconds
	ifindex uint32
	gso     uint32
}

// rawKernel is the loaded program, fed by the system call itself: Program.Run takes three times as long.
type rawKernel struct {
	*tables
	reasons *ebpf.Memory
}

// newRawKernel loads the program with a table of reasons that is mapped into memory: 38 look-ups would take longer than
// the packet.
func newRawKernel(t testing.TB, o Options, captures bool) *rawKernel {
	t.Helper()
	spec, err := configure(o)
	must(t, err)
	must(t, spec.Variables[fivetupleVarClockFromSkb].Set(true))
	must(t, spec.Variables[fivetupleVarLengthsFromCb].Set(captures))
	reasons := spec.Maps[fivetupleMapReasons]
	reasons.Type, reasons.Flags = ebpf.Array, unix.BPF_F_MMAPABLE
	loaded, err := load(spec, nil)
	must(t, err)
	t.Cleanup(func() { _ = loaded.Close() })
	memory, err := loaded.Reasons.Memory()
	must(t, err)
	return &rawKernel{loaded, memory}
}

// testRun is what BPF_PROG_TEST_RUN takes: a part of union bpf_attr of linux/bpf.h.
type testRun struct {
	program, returned uint32
	size, sizeOut     uint32
	data, dataOut     unsafe.Pointer
	repeat, duration  uint32
	context, _        uint32
	skb, _            unsafe.Pointer
	_                 [4]uint32
}

// errRefused means that the kernel does not run a program on such a frame: it is too short.
var errRefused = errors.New("refused by the test run")

// feed runs the program on a packet.
func (k *rawKernel) feed(in *input) error {
	program := k.Ingress
	if in.dir == flow.TX {
		program = k.Egress
	}
	context := skb{Tstamp: in.now, Ifindex: in.ifindex, GSOSize: in.gso}
	frame := in.frame
	if in.capture {
		context.CB = [5]uint32{uint32(len(frame) + in.lost), uint32(len(frame))}
		frame = append(slices.Clip(frame), bytes.Repeat([]byte{0xa5}, 64)...)
	}
	run := testRun{
		program: uint32(program.FD()), size: uint32(len(frame)), data: unsafe.Pointer(unsafe.SliceData(frame)),
		context: uint32(unsafe.Sizeof(context)), skb: unsafe.Pointer(&context),
	}
	var pins runtime.Pinner // the garbage collector does not follow run into the system call
	defer pins.Unpin()
	pins.Pin(run.data)
	pins.Pin(run.skb)
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(&run)), unsafe.Sizeof(run))
	switch {
	case errno == unix.EINVAL:
		return errRefused
	case errno != 0:
		return errno
	case int32(run.returned) != -1:
		return errors.New("the program did not pass the packet on")
	}
	return nil
}

// counted returns how the packets left the program.
func (k *rawKernel) counted() (r Reasons, err error) {
	_, err = k.reasons.ReadAt(unsafe.Slice((*byte)(unsafe.Pointer(&r)), unsafe.Sizeof(r)), 0)
	return r, err
}

// read reads a table's entry; false if there is none.
func read[K, V any](m *ebpf.Map, key *K, value *V) (bool, error) {
	err := m.Lookup(unsafe.Pointer(key), unsafe.Pointer(value))
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return false, nil
	}
	return err == nil, err
}
