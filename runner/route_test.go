package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"fivetuple/runner/switches"
)

// routeCommand runs `fivetuple route` with a switch file, under a runner that serves no metrics.
func routeCommand(t *testing.T, file string, args ...string) (out, aside string, err error) {
	t.Helper()
	return routeCommandAt(t, "", file, args...)
}

// routeCommandAt does so under one that serves them.
func routeCommandAt(t *testing.T, listen, file string, args ...string) (out, aside string, err error) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "fivetuple.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "runner: {switches: %s}\nmetrics: {listen: %q}", file, listen), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	root := newRootCommand()
	root.SetArgs(slices.Concat([]string{"--config", config, "route"}, args))
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	err = root.ExecuteContext(t.Context())
	return stdout.String(), stderr.String(), err
}

// TestRouteCommand switches under a runner, and says so.
func TestRouteCommand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "var", "switches.yaml")
	runner := switches.Follow(file, zerolog.Nop())
	defer runner.Close()
	const inForce = "a runner has taken the file: it is in force there\n"
	const unknown = "whether it has seen the route is not known: the setting metrics.listen is empty\n"
	for _, c := range []struct{ args, out, aside string }{
		{"list", "", "0 off, in FILE; there is no such file, so that nothing is off\n"},
		{"list --json", `{"file":"FILE","off":[],"runner":false}` + "\n", ""},
		{"orders on", "route orders is on already, in FILE\nthere is no such file, so that nothing is off\n", ""},
		{"orders off", "route orders is off, in FILE\n" + inForce + unknown, ""},
		{"orders off", "route orders is off already, in FILE\n" + inForce + unknown, ""},
		{"list off", "route list is off, in FILE\n" + inForce + unknown, ""},
		{"global off", "global rules are off, in FILE\n" + inForce + unknown, ""},
		{"-- -x off", "route -x is off, in FILE\n" + inForce + unknown, ""},
		{"list", "-x\nglobal\nlist\norders\n", "4 off, in FILE; " + inForce},
		{"list --json", `{"file":"FILE","off":["-x","global","list","orders"],"runner":true}` + "\n", ""},
		{"orders on", "route orders is on, in FILE\n" + inForce, ""},
		{"list", "-x\nglobal\nlist\n", "3 off, in FILE; " + inForce},
	} {
		out, aside, err := routeCommand(t, file, strings.Fields(c.args)...)
		if err != nil || strings.ReplaceAll(out, file, "FILE") != c.out || strings.ReplaceAll(aside, file, "FILE") != c.aside {
			t.Errorf("route %s: %v\n%s%s\nwant\n%s%s", c.args, err, out, aside, c.out, c.aside)
		}
	}
}

// TestRouteCommandWithoutARunner sets the switch all the same.
func TestRouteCommandWithoutARunner(t *testing.T) {
	file := filepath.Join(t.TempDir(), "switches.yaml")
	out, _, err := routeCommand(t, file, "orders", "off")
	if err != nil || !strings.Contains(out, "route orders is off, ") || !strings.Contains(out, "\nno runner has taken the file: ") {
		t.Errorf("%v\n%s", err, out)
	}
	out, _, err = routeCommand(t, file, "list", "--json")
	var list routeList
	if err := errors.Join(err, json.Unmarshal([]byte(out), &list)); err != nil || list.File != file || !slices.Equal(list.Off, []string{"orders"}) || list.Runner {
		t.Errorf("%v: %s", err, out)
	}
}

func TestRouteCommandRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "switches.yaml")
	const want = "want: route ID off, route ID on, or route list [--json]; not "
	for args, want := range map[string]string{
		"":                  want + "[]",
		"orders":            want + `["orders"]`,
		"off":               want + `["off"]`,
		"off orders":        want + `["off" "orders"]`,
		"orders maybe":      want + `["orders" "maybe"]`,
		"orders OFF":        want + `["orders" "OFF"]`,
		"orders off pay":    want + `["orders" "off" "pay"]`,
		"orders off --json": want + `["orders" "off"]`,
		"list list list":    want + `["list" "list" "list"]`,
		"or/ders off":       `"or/ders" is not an id of 1 to 64 letters, digits and _.-`,
		"orders off --now":  "unknown flag: --now",
	} {
		out, _, err := routeCommand(t, file, strings.Fields(args)...)
		if err == nil || err.Error() != want || out != "" {
			t.Errorf("route %s: %v\n%s\nwant %s", args, err, out, want)
		}
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was made: %v", err)
	}
}

func TestRouteCommandAndADamagedFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "switches.yaml")
	if err := os.WriteFile(file, []byte("- a\n- 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"b", "off"}, {"a", "on"}, {"list"}, {"list", "--json"}} {
		out, aside, err := routeCommand(t, file, args...)
		if !errors.Is(err, switches.ErrFile) || !strings.Contains(err.Error(), file+`:2: [1]: "1" is no text`) || out+aside != "" {
			t.Errorf("route %v: %v\n%s%s", args, err, out, aside)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "- a\n- 1\n" {
		t.Errorf("the file is changed: %q, %v", text, err)
	}
}
