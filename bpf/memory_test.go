package bpf

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNoMemoryIsExplained: the tables are charged to the agent's container.
func TestNoMemoryIsExplained(t *testing.T) {
	needRoot(t)
	err := explain("load the kernel program", fmt.Errorf("map create: %w", unix.ENOMEM))
	if err == nil || !strings.Contains(err.Error(), "lower agent.tables") {
		t.Errorf("%v", err)
	}
}
