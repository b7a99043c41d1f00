package main

import (
	"os"
	"path/filepath"
	"testing"
)

// inFleet puts a bench's runners into a fleet whose Redis is not there.
func (b *bench) inFleet() {
	b.t.Helper()
	file := filepath.Join(b.dir, "fivetuple.yaml")
	settings, err := os.ReadFile(file)
	must(b.t, err)
	must(b.t, os.WriteFile(file, append(settings, "redis: {addresses: [\"127.0.0.1:1\"]}\nfleet: {name: test}\n"...), 0o600))
}

// TestRunnersOfAFleetEnd: nothing of the fleet keeps a process that gave its place away, or that has nothing to serve on.
func TestRunnersOfAFleetEnd(t *testing.T) {
	b := newBench(t, 0)
	b.inFleet()
	first := b.start().ready()
	if b.start().ends() == nil {
		t.Error("a second one served on the same socket")
	}
	b.start("--take-over").ready()
	if err := first.ends(); err != nil {
		t.Errorf("the one whose place was taken: %v", err)
	}
}
