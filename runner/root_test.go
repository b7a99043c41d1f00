package main

import (
	"io"
	"strings"
	"testing"
)

// TestConfigVariable: a command takes its settings from the file that the environment names, unless --config names another one.
func TestConfigVariable(t *testing.T) {
	t.Setenv(configVariable, "/absent/of-the-environment.yaml")
	for want, args := range map[string][]string{
		"/absent/of-the-environment.yaml": {"report"},
		"/absent/of-the-flag.yaml":        {"report", "--config", "/absent/of-the-flag.yaml"},
	} {
		root := newRootCommand()
		root.SetArgs(args)
		root.SetOut(io.Discard)
		if err := root.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error about %s", args, err, want)
		}
	}
}
