package stack_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// TestTheRunnerIsNobodyWithoutCapabilities: the runner that serves the call has no right but to read the pins.
func TestTheRunnerIsNobodyWithoutCapabilities(t *testing.T) {
	ctx, s := start(t, stack.Options{})
	c := dial(ctx, t, s, lab.GatewayFrontIPv4)
	in, _ := do(t, c, stack.Get("/insight/1", 0))
	wantMatch(t, in, "exchange;n=1")

	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.RunnerPID()))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Uid:\t65534\t65534\t65534\t65534\n", "Gid:\t65534\t65534\t65534\t65534\n",
		"CapInh:\t0000000000000000\n", "CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n",
	} {
		if !strings.Contains(string(status), want) {
			t.Errorf("the runner's status has no line %q:\n%s", want, status)
		}
	}
	pins, err := filepath.Glob(filepath.Join(s.Pins(), "v*", "*"))
	if err != nil || len(pins) == 0 {
		t.Fatalf("no pins: %v", err)
	}
	for _, pin := range pins {
		info, err := os.Stat(pin)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o640 {
			t.Errorf("%s has mode %o, want 640", pin, mode)
		}
	}
}
