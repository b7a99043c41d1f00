package server

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestListenWithoutDirectory: the error names the directory that has to be created.
func TestListenWithoutDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "missing")
	path := filepath.Join(dir, "runner.sock")
	_, err := Listen(path, Access{0o600, -1})
	if err == nil || !strings.HasSuffix(err.Error(), ": create the directory "+dir+" first") {
		t.Errorf("got %v", err)
	}
}
