package bpf

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestClockInTimeNamespaces: whatever namespace a process is in, it reads the host's clock.
func TestClockInTimeNamespaces(t *testing.T) {
	if os.Getenv("FIVETUPLE_PRINT_CLOCK") != "" {
		c, err := NewClock()
		fmt.Printf("clock %d %v\n", c.Now(), err)
		return
	}
	if os.Getuid() != 0 {
		skip(t, "requires root, to make time namespaces")
	}
	for _, options := range [][]string{
		{"--fork", "--monotonic", "3"},
		{"--fork", "--monotonic", "-2"},
		{"--fork", "--monotonic", "100000"},
		{"--fork"},
		{"--fork", "--monotonic", "7", "unshare", "--time", "--fork", "--monotonic", "9"},
	} {
		args := append(append([]string{"--time"}, options...), os.Args[0], "-test.run=^TestClockInTimeNamespaces$")
		command := exec.CommandContext(t.Context(), "unshare", args...)
		command.Env = append(os.Environ(), "FIVETUPLE_PRINT_CLOCK=1")
		before := hostClock(t)
		out, err := command.CombinedOutput()
		after := hostClock(t)
		if err != nil {
			t.Fatalf("%v: %v\n%s", options, err, out)
		}
		var now uint64
		if _, err := fmt.Sscanf(string(out), "clock %d <nil>", &now); err != nil || now < before || now > after {
			t.Errorf("%v: %s, want %d to %d: %v", options, out, before, after, err)
		}
	}
}

func hostClock(t *testing.T) uint64 {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return uint64(now.Nano())
}

func TestTimeNamespaceOffset(t *testing.T) {
	for name, c := range map[string]struct {
		own, children, offsets string
		want                   time.Duration
		err                    string
	}{
		"no namespaces":      {},
		"the host's":         {own: initialTimeNamespace, children: "time:[5]", offsets: "monotonic 9 0\n"},
		"ahead":              {own: "time:[5]", children: "time:[5]", offsets: "monotonic           3         5\nboottime            0         0\n", want: 3*time.Second + 5},
		"behind":             {own: "time:[5]", children: "time:[5]", offsets: "monotonic          -3 500000000\n", want: -2500 * time.Millisecond},
		"another's offsets":  {own: "time:[5]", children: "time:[6]", offsets: "monotonic 9 0\n", err: "start fivetuple as such a child"},
		"no offsets":         {own: "time:[5]", children: "time:[5]", err: "no such file"},
		"a format not known": {own: "time:[5]", children: "time:[5]", offsets: "boottime 0 0\n", err: `"boottime 0 0\n"`},
	} {
		process := t.TempDir()
		if err := os.Mkdir(filepath.Join(process, "ns"), 0o700); err != nil {
			t.Fatal(err)
		}
		for file, target := range map[string]string{"time": c.own, "time_for_children": c.children} {
			if target == "" {
				continue
			}
			if err := os.Symlink(target, filepath.Join(process, "ns", file)); err != nil {
				t.Fatal(err)
			}
		}
		if c.offsets != "" {
			if err := os.WriteFile(filepath.Join(process, "timens_offsets"), []byte(c.offsets), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := timeNamespaceOffset(process)
		if time.Duration(got) != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, %v, want %v, %q", name, time.Duration(got), err, c.want, c.err)
		}
	}
}
