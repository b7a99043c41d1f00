package lab

import (
	"os"
	"path/filepath"
	"testing"
)

// skip skips the test, or fails it where nothing may be skipped (FIVETUPLE_NO_SKIP=1, as CI sets it).
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("FIVETUPLE_NO_SKIP") == "1" {
		t.Fatalf("must not be skipped here: %s", why)
	}
	t.Skip(why)
}

// sharedCaptures returns the folder of the public captures and their figures.
func sharedCaptures(t *testing.T) string {
	t.Helper()
	root := os.Getenv("FIVETUPLE_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	dir := filepath.Join(root, "pcaps")
	if _, err := os.Stat(dir); err != nil {
		skip(t, "no shared captures (set FIVETUPLE_SHARED): "+err.Error())
	}
	return dir
}
