package redistest

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// patience bounds every wait for something that has to come true.
const patience = 30 * time.Second

// Await returns when the condition holds, and fails the test if it does not within 30 s.
func Await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("await %s: not within %v", what, patience)
		}
	}
}

// look returns the path of a program, and skips the test if there is none.
func look(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	skip(t, err.Error())
	return ""
}

// skip skips a test, where that is allowed.
func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("FIVETUPLE_NO_SKIP") == "1" {
		t.Fatal("a skip is a failure here: ", why)
	}
	t.Skip(why)
}
