package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// noCore keeps this process' memory, which may hold the password of Redis and what clients sent, out of core dumps: those that are
// written to a file, and those that a program takes (kernel.core_pattern), which no limit keeps away. Other processes of the same
// user cannot read it either. A debugger needs CAP_SYS_PTRACE.
func noCore() error {
	err := errors.Join(
		unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}),
		unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0),
	)
	if err != nil {
		return fmt.Errorf("failed to switch core dumps off, going on: %w", err)
	}
	return nil
}
