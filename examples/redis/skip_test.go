package redistest_test

import (
	"os"
	"testing"
)

// skip skips a test, where that is allowed.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("FIVETUPLE_NO_SKIP") == "1" {
		t.Fatal("a skip is a failure here: ", why)
	}
	t.Skip(why)
}
