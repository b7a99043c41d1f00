package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"fivetuple/conf"
	"fivetuple/correlator/fleet"
	"fivetuple/runner/printable"
)

// hostileName is a name that clears a screen, sets a terminal's title, forges a line, reverses what follows, and hides.
const hostileName = "\x1b[2J\u009b31m\u009d0;title\a\nforged \u202egnirts\u2066\u200b\u2028\ufeff\U000e0001\x7f"

// isShowable reports whether text holds nothing but printable characters and the ends of its lines.
func isShowable(t *testing.T, what, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if line = strings.TrimSuffix(line, "\n"); printable.String(line) != line {
			t.Errorf("%s is not printable: %q", what, line)
		}
		if strings.HasPrefix(line, "forged") {
			t.Errorf("%s has a line that a name has forged: %q", what, line)
		}
	}
}

// TestCallsOfHostileNames: a route's id goes through all that shows calls.
func TestCallsOfHostileNames(t *testing.T) {
	c := conf.Default()
	c.Calls.File = filepath.Join(t.TempDir(), "calls.jsonl")
	out, _ := outputOf(t, c)
	call := finishedCall(out)
	call.Route.Route, call.Route.Consumer, call.Method = hostileName, hostileName, hostileName
	out.sink()(call)
	out.close(zerolog.Nop())
	text, err := os.ReadFile(c.Calls.File)
	must(t, err)
	isShowable(t, "the log of calls", string(text))
	var fields map[string]any
	must(t, json.Unmarshal(text, &fields))
	if fields["apisix.route_id"] != hostileName {
		t.Errorf("the log has another value: %q", fields["apisix.route_id"])
	}

	// A log of another writer has them raw, as JSON allows.
	raw := []byte(fmt.Sprintf(`{"time":"2026-11-24T12:00:03Z","match":"shared","apisix.route_id":%q}`+"\n", "\u202e"))
	raw = bytes.ReplaceAll(raw, []byte(`\u202e`), []byte("\u009b31m\u202e\U000e0001\x7f"))
	must(t, os.WriteFile(c.Calls.File, append(text, raw...), 0o600))
	for _, args := range [][]string{nil, {"--json"}} {
		shown, aside, err := callsCommand(t, append(args, "--file", c.Calls.File)...)
		must(t, err)
		isShowable(t, fmt.Sprintf("calls %q", args), shown+aside)
		if lines := strings.Count(shown, "\n"); lines != 3-len(args) {
			t.Errorf("calls %q: %d lines", args, lines)
		}
		if len(args) > 0 {
			_, second, _ := strings.Cut(shown, "\n")
			must(t, json.Unmarshal([]byte(second), &fields))
			if fields["apisix.route_id"] != "\u009b31m\u202e\U000e0001\x7f" {
				t.Errorf("calls --json has another value: %q", fields["apisix.route_id"])
			}
		}
	}
}

func TestReportOfHostileNames(t *testing.T) {
	out, address := servedOutput(t)
	call := finishedCall(out)
	call.Route.Route = hostileName
	out.sink()(call)
	settings := "metrics: {listen: " + address + "}"
	for _, format := range []string{"table", "json"} {
		isShowable(t, "report --format "+format, untilReported(t, settings, `\u009b31m`, "--format", format))
	}
	for _, page := range []string{"/metrics", "/report", "/routes"} {
		answer, err := http.Get("http://" + address + page)
		must(t, err)
		text, err := io.ReadAll(answer.Body)
		must(t, err)
		must(t, answer.Body.Close())
		isShowable(t, page, string(text))
		if page != "/routes" && !strings.Contains(string(text), `\u009b31m`) {
			t.Errorf("%s does not have the route: %s", page, text)
		}
	}
}

func TestEventsOfHostileNames(t *testing.T) {
	s := &entries{all: []entry{
		entryOf("gw-1", "1764000001000-0", fleet.Event{
			Kind: fleet.KindBaselineShift, Route: hostileName, Method: hostileName,
		}),
		{hostileName, hostileName, []byte(hostileName)},
		{"gw-1", "1764000001000-1", []byte(hostileName)},
	}}
	for _, args := range [][]string{nil, {"--json"}} {
		out, aside, err := eventsCommand(t, s, args...)
		if !errors.Is(err, errEventsSkipped) {
			t.Errorf("events %q: %v", args, err)
		}
		isShowable(t, fmt.Sprintf("events %q", args), out)
		for line := range strings.Lines(aside) { // the process's standard error escapes the rest
			isShowable(t, "aside", string(printable.Text([]byte(line))))
		}
	}
}

// TestLogOfHostileNames: what a Redis server replies is in the log of both formats, on the line that reports it.
func TestLogOfHostileNames(t *testing.T) {
	for _, format := range []string{conf.FormatJSON, conf.FormatConsole} {
		var b bytes.Buffer
		log := openLog(&b, conf.Log{Level: "info", Format: format})
		log.Warn().Err(errors.New(hostileName)).Str("route", hostileName).Interface("list", []string{hostileName}).Msg("redis unavailable: " + hostileName)
		log.close()
		isShowable(t, "the log as "+format, b.String())
		if strings.Count(b.String(), "\n") != 1 || !strings.Contains(b.String(), `\u009b31m`) {
			t.Errorf("%s: %q", format, b.String())
		}
	}
}

// TestErrorsOfHostileNames: arguments and names of files, on the process's standard error.
func TestErrorsOfHostileNames(t *testing.T) {
	b := newBench(t, 0)
	for _, args := range [][]string{
		{"calls", "--file", "/absent\x1b[2J\u009b31m\u202e/calls.jsonl"},
		{"--config", "/absent/\x1b[2J\u009b31m\u202e", "report"},
		{"replay", "/absent/\x1b[2J\u009b31m\u202e"},
		{"sources", "flag", "\x1b[2J\u009b31m\u202e"},
		{"calls", "--\x1b[2J\u009b31m\u202e"},
		{"route", "\x1b[2J\u009b31m\u202e", "off"},
	} {
		cmd := b.command()
		cmd.Args = append(cmd.Args[:1], args...)
		text, err := cmd.CombinedOutput()
		if err == nil || !bytes.Contains(text, []byte(`\u009b31m`)) {
			t.Errorf("%q: %v: %q", args, err, text)
		}
		isShowable(t, fmt.Sprintf("the error of %q", args), string(text))
	}
}
