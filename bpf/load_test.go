package bpf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// TestLoad loads every program with each set of capabilities that an operator may give, and prints what the verifier
// says of each. Without CAP_PERFMON a kernel may refuse them, because its verifier then also follows what a CPU may
// speculate; the error has to name that capability.
func TestLoad(t *testing.T) {
	needRoot(t)
	every := heldCapabilities(t)
	const two = 1<<unix.CAP_BPF | 1<<unix.CAP_NET_ADMIN
	for _, c := range []struct {
		name        string
		caps        uint64
		mayBeMissed string
	}{
		{"all that this process has", every, ""},
		{"CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON", two | 1<<unix.CAP_PERFMON, ""},
		{"CAP_BPF, CAP_NET_ADMIN", two, "capability CAP_PERFMON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := runChild(t, "load", fmt.Sprintf("%s=%d", capsEnv, c.caps))
			t.Log(out)
			missing, failed := strings.CutPrefix(out, "missing: ")
			switch {
			case failed && (c.mayBeMissed == "" || !strings.HasPrefix(missing, c.mayBeMissed)):
				t.Error("refused")
			case !failed && strings.Count(out, "instructions") != 2*len(allPrograms()):
				t.Error("not all programs were loaded")
			}
		})
	}
}

// allPrograms returns the names of the programs that an agent loads.
func allPrograms() []string {
	return []string{fivetupleProgFtIngress, fivetupleProgFtEgress, fivetupleProgFtRemove, fivetupleProgFtRead, fivetupleProgFtEmpty}
}

// childLoad loads each program alone, with first payloads kept and not kept, and prints how long that took and how many
// instructions the verifier processed.
func childLoad() {
	dropCapabilities()
	for _, first := range []string{FirstPayloadKeep, FirstPayloadOff} {
		o := testOptions()
		o.FirstPayload = first
		spec, err := configure(o)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, name := range allPrograms() {
			if err := loadOne(spec.Copy(), name); err != nil {
				fmt.Println(explain(name, err))
				if verifier, ok := errors.AsType[*ebpf.VerifierError](err); ok {
					fmt.Println(strings.Join(verifier.Log[max(0, len(verifier.Log)-12):], "\n"))
				}
				return
			}
		}
	}
}

func loadOne(spec *ebpf.CollectionSpec, name string) error {
	for other := range spec.Programs {
		if other != name {
			delete(spec.Programs, other)
		}
	}
	start := time.Now()
	loaded, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats}})
	if err != nil {
		return err
	}
	defer loaded.Close()
	took := time.Since(start)
	stats := slices.DeleteFunc(strings.Split(loaded.Programs[name].VerifierLog, "\n"), func(s string) bool {
		return !strings.HasPrefix(s, "processed ")
	})
	fmt.Printf("%s: %v: instructions %s\n", name, took.Round(time.Millisecond), strings.Join(stats, "; "))
	return nil
}

// heldCapabilities returns what this process has, which in a container is not all there is.
func heldCapabilities(t *testing.T) uint64 {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	must(t, unix.Capget(&header, &data[0]))
	return uint64(data[0].Effective) | uint64(data[1].Effective)<<32
}
