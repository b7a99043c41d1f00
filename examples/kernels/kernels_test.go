package main

import (
	"bytes"
	"os/exec"
	"reflect"
	"testing"
)

// TestCPIO: Debian's cpio reads what the tool writes.
func TestCPIO(t *testing.T) {
	var c cpio
	c.file("usr/bin/tool", 0o755, []byte("odd"))
	c.file("usr/lib/library", 0o644, nil)
	c.device("dev/null", 1, 3)
	list := exec.Command("cpio", "--list", "--verbose", "--numeric-uid-gid")
	list.Stdin = bytes.NewReader(c.bytes())
	list.Env = []string{"LC_ALL=C", "TZ=UTC"}
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range bytes.Lines(out) {
		fields := bytes.Fields(line)
		got = append(got, string(fields[0])+" "+string(fields[len(fields)-1]))
	}
	want := []string{
		"drwxr-xr-x usr", "drwxr-xr-x usr/bin", "-rwxr-xr-x usr/bin/tool", "drwxr-xr-x usr/lib", "-rw-r--r-- usr/lib/library",
		"drwxr-xr-x dev", "crw------- dev/null",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOutputOfTests(t *testing.T) {
	lines := []string{
		"=== RUN   TestLoad",
		"=== RUN   TestLoad/CAP_BPF,_CAP_NET_ADMIN,_CAP_PERFMON",
		"    load_test.go:33: ft_ingress: 2.395s: instructions processed 23562 insns (limit 1000000) max_states_per_insn 6",
		"        ft_remove: 278ms: instructions processed 501 insns (limit 1000000) max_states_per_insn 4",
		"        ft_ingress: 2.99s: instructions processed 23712 insns (limit 1000000) max_states_per_insn 6",
		"=== RUN   TestLoad/CAP_BPF,_CAP_NET_ADMIN",
		"    load_test.go:33: missing: capability CAP_PERFMON: ft_ingress: permission denied",
		"=== RUN   TestForeignTCXProgramsGoOn",
		"    attach_test.go:95: left out: no TCX",
		"--- SKIP: TestForeignTCXProgramsGoOn (0.00s)",
	}
	loads := [][]string{
		{"CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON", "ft_ingress: 2.395s, 23562", "ft_remove: 278ms, 501"},
		{"CAP_BPF, CAP_NET_ADMIN", "refused: capability CAP_PERFMON: ft_ingress: permission denied"},
	}
	if got := loadsOf(lines); !reflect.DeepEqual(got, loads) {
		t.Errorf("loads: %q", got)
	}
	if got := skipped(lines); !reflect.DeepEqual(got, map[string][]string{"left out: no TCX": {"TestForeignTCXProgramsGoOn"}}) {
		t.Errorf("skipped: %q", got)
	}
}
