//go:build linux

package redistest

import (
	"strings"
	"testing"

	"fivetuple/examples/lab"
)

// NewLab makes network namespaces, in which servers can be started, until the test ends. Where that is not possible the test is
// skipped.
func NewLab(t testing.TB) *lab.Lab {
	t.Helper()
	if missing := lab.Missing(); len(missing) > 0 {
		skip(t, strings.Join(missing, "; "))
	}
	l, err := lab.New(t.Context(), lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}
