package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityIsTrue: SECURITY.md names every direct dependency, and every test that it names is there.
func TestSecurityIsTrue(t *testing.T) {
	text, err := os.ReadFile("../SECURITY.md")
	must(t, err)
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{if not (or .Indirect .Main)}}{{.Path}}{{end}}", "all").Output()
	must(t, err)
	version := regexp.MustCompile(`(/v\d+|\.v\d+)$`)
	for path := range strings.FieldsSeq(string(out)) {
		name := strings.TrimPrefix(version.ReplaceAllString(path, ""), "github.com/")
		name = strings.TrimPrefix(name, "gopkg.in/")
		if !strings.Contains(string(text), name) {
			t.Errorf("SECURITY.md does not name %s (%s)", name, path)
		}
	}
	named := regexp.MustCompile("`([\\w/]+_test\\.go)`(?: \\((\\w+)\\))?").FindAllStringSubmatch(string(text), -1)
	if len(named) < 10 {
		t.Errorf("%d tests are named", len(named))
	}
	for _, m := range named {
		source, err := os.ReadFile(filepath.Join("..", m[1]))
		if err != nil || m[2] != "" && !strings.Contains(string(source), "func "+m[2]+"(") {
			t.Errorf("no test %s %s: %v", m[1], m[2], err)
		}
	}
}
