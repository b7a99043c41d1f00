package bpf

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"fivetuple/correlator/flow"
)

// Privileges are a process's: what is to run without them runs in a child, which is this test's binary again. The
// environment says which part it is, and what it works on; its output is what it found.
const (
	childEnv = "FIVETUPLE_TEST_PART"
	pinsEnv  = "FIVETUPLE_TEST_PINS"
	groupEnv = "FIVETUPLE_TEST_GROUP"
	capsEnv  = "FIVETUPLE_TEST_CAPS"
	// firstEnv is the agent's setting first_payload.
	firstEnv = "FIVETUPLE_TEST_FIRST_PAYLOAD"
	// refuseEnv is the number of the error with which a seccomp filter answers bpf(2).
	refuseEnv = "FIVETUPLE_TEST_REFUSE"
)

func childParts() map[string]func() {
	return map[string]func(){"read": childRead, "write": childWrite, "abuse": childAbuse, "agent": childAgent, "verdicts": childVerdicts, "load": childLoad}
}

const nobody = 65534

// runChild returns the output of a part.
func runChild(t *testing.T, part string, env ...string) string {
	t.Helper()
	return runChildIn(t, nil, part, env...)
}

// runChildIn runs it by a command that starts another one.
func runChildIn(t *testing.T, by []string, part string, env ...string) string {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	args := append(slices.Clone(by), self, "-test.run=^$")
	c := exec.Command(args[0], args[1:]...) //nolint:gosec // this test itself
	c.Env = append(append(os.Environ(), childEnv+"="+part), env...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("part %s: %v: %s", part, err, out)
	}
	return strings.TrimSpace(string(out))
}

// becomeNobody gives up root and, with it, every capability.
func becomeNobody() {
	gid := nobody
	if g := os.Getenv(groupEnv); g != "" {
		_, _ = fmt.Sscan(g, &gid)
	}
	err := errors.Join(unix.Setgroups(nil), unix.Setresgid(gid, gid, gid), unix.Setresuid(nobody, nobody, nobody),
		unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)) // its own /proc, as any process has that nobody starts
	if err != nil {
		fmt.Println("cannot drop privileges:", err)
		os.Exit(1)
	}
}

// refuseCalls has the kernel answer a system call of this thread with an error, as a container's seccomp profile does.
func refuseCalls(call uint32, errno string) error {
	n, err := strconv.ParseUint(errno, 10, 16)
	if err != nil {
		return err
	}
	const numberOffset = 0 // struct seccomp_data
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: numberOffset},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: call},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(n)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	// For all threads: package ebpf may call from any.
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if e != 0 {
		return e
	}
	return nil
}

// childRead looks the key of all tests up as nobody.
func childRead() {
	if errno := os.Getenv(refuseEnv); errno != "" {
		_ = refuseCalls(unix.SYS_BPF, errno) // while this process may; the output tells whether it is in force
	}
	becomeNobody()
	clock, err := NewClock()
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := NewReader(os.Getenv(pinsEnv), time.Hour, clock)
	if err != nil {
		fmt.Println(err)
		return
	}
	var record flow.Record
	if err := r.Lookup(tuple4.key(flow.TCP), &record); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := r.Counts(); err != nil {
		fmt.Println(err)
		return
	}
	way := "by two copies"
	if r.view.Load().read != nil {
		way = "by the program"
	}
	fmt.Println("found", way, record.Conn.ID)
}

// childWrite tries to write as nobody: through a descriptor for writing, then through one for reading.
func childWrite() {
	becomeNobody()
	hash, _ := Layout()
	path := filepath.Join(os.Getenv(pinsEnv), layoutDir(hash), fivetupleMapFlows)
	_, err := ebpf.LoadPinnedMap(path, nil)
	fmt.Println("open:", errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES))
	m, err := ebpf.LoadPinnedMap(path, &ebpf.LoadPinOptions{ReadOnly: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = m.Put(tuple4.key(flow.TCP), &flow.Record{})
	fmt.Println("update:", errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES))
	err = m.Delete(tuple4.key(flow.TCP))
	fmt.Println("delete:", errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES))
}

// childVerdicts reads all verdicts as nobody, and tries to open them for writing.
func childVerdicts() {
	becomeNobody()
	v, err := OpenVerdicts(os.Getenv(pinsEnv), false)
	if err != nil {
		fmt.Println(err)
		return
	}
	n := 0
	if err := v.Each(func(flow.VerdictKey, *flow.Verdict) error { n++; return nil }); err != nil {
		fmt.Println(err)
		return
	}
	_, err = OpenVerdicts(os.Getenv(pinsEnv), true)
	fmt.Println("read", n, "open to write:", errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES))
}

// childAbuse tries, as nobody, what else may be done with the program that reads: keep it by a pin, attach it, read its code.
func childAbuse() {
	becomeNobody()
	hash, _ := Layout()
	dir := filepath.Join(os.Getenv(pinsEnv), layoutDir(hash))
	p, err := ebpf.LoadPinnedProgram(filepath.Join(dir, readPin), &ebpf.LoadPinOptions{ReadOnly: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	s := newScratch()
	s.ask.Key = tuple4.key(flow.TCP)
	s.ask.Record.Conn.Lock = 1 << 20 // what it is handed, it does not write into the table
	result, err := s.runOnce(p)
	fmt.Println("run:", result)
	if err != nil {
		fmt.Println(err)
	}
	refused := func(err error) bool {
		return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EINVAL)
	}
	fmt.Println("pin:", refused(p.Pin(filepath.Join(dir, "mine"))))
	_, err = link.AttachRawLink(link.RawLinkOptions{Program: p, Attach: ebpf.AttachTCXIngress, Target: 1})
	fmt.Println("link:", refused(err))
	info, err := p.Info()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = info.Instructions()
	fmt.Println("read:", err != nil)
}

// dropCapabilities leaves this thread, and what it starts, no capabilities but those of capsEnv.
func dropCapabilities() {
	runtime.LockOSThread() // capabilities are a thread's
	var caps uint64
	_, _ = fmt.Sscan(os.Getenv(capsEnv), &caps)
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{
		{Effective: uint32(caps), Permitted: uint32(caps)}, {Effective: uint32(caps >> 32), Permitted: uint32(caps >> 32)},
	}
	if err := unix.Capset(&header, &data[0]); err != nil {
		fmt.Println("cannot drop capabilities:", err)
		os.Exit(1)
	}
}

// childAgent starts an agent on the loopback with no capabilities but those given.
func childAgent() {
	dropCapabilities()
	if errno := os.Getenv(refuseEnv); errno != "" {
		if err := refuseCalls(unix.SYS_BPF, errno); err != nil {
			fmt.Println("cannot install the seccomp filter:", err)
			os.Exit(1)
		}
	}
	o := testOptions()
	o.Pins.Path, o.FirstPayload = os.Getenv(pinsEnv), cmp.Or(os.Getenv(firstEnv), FirstPayloadKeep)
	warnings := zerolog.New(io.Discard).Hook(zerolog.HookFunc(func(_ *zerolog.Event, level zerolog.Level, message string) {
		if level >= zerolog.WarnLevel {
			fmt.Printf("%s: %s\n", level, message)
		}
	}))
	a, err := Start(o, warnings)
	if err != nil {
		fmt.Println("error:", errors.Is(err, ErrMissing), err)
		return
	}
	_, err = os.Stat(filepath.Join(a.pins.dir(a.meta.Layout), readPin))
	fmt.Println("started", len(a.attacher.watched), "program to read:", err == nil)
	if err := a.Close(); err != nil {
		fmt.Println("close:", err)
	}
}
