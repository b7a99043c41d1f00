package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// folder writes files by name and content, and returns where they are.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// program returns a stand-in for fivetuple that prints the lines, then fails if it is to.
func program(t *testing.T, exit int, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fivetuple")
	script := fmt.Sprintf("#!/bin/sh\ncat <<'END'\n%s\nEND\necho 'why it failed\nand more' >&2\nexit %d\n", strings.Join(lines, "\n"), exit)
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func captureFolder(t *testing.T) string {
	t.Helper()
	return folder(t, map[string]string{
		"x.pcap": "", "x.pcap.flows.json": oracleText, "x.pcap.meta.json": `{"packets_raw_parser":11}`,
		"MANIFEST.tsv": "file\n", "x.pcap.zeek.conn.log": "",
	})
}

func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		exit  int
		lines []string
		want  string // in the output; the run fails unless it is all equal
	}{
		"equal":          {0, []string{tcpLine, udpLine, closingLine}, ""},
		"a flow differs": {0, []string{strings.Replace(tcpLine, "300", "301", 1), udpLine, closingLine}, "tcp 192.0.2.2:80 <- 192.0.2.1:50000  bytes"},
		"it failed":      {1, []string{tcpLine, udpLine, closingLine}, "exit status 1: why it failed\n"},
		"no closing":     {0, []string{tcpLine, udpLine}, "there is no closing object"},
		"text":           {0, []string{"hello"}, "object 1: invalid character"},
		"two closings":   {0, []string{tcpLine, udpLine, closingLine, closingLine}, "object 4: it follows the closing one"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := run(t.Context(), []string{"--binary", program(t, c.exit, c.lines...), captureFolder(t)}, &out)
			if name == "equal" {
				if err != nil || !strings.Contains(out.String(), "100.000 %") || strings.Contains(out.String(), "oracle\n") {
					t.Errorf("%v\n%s", err, &out)
				}
				return
			}
			if !errors.Is(err, errBelow) || !strings.Contains(out.String(), c.want) {
				t.Errorf("%v, want %q in\n%s", err, c.want, &out)
			}
		})
	}
}

func TestRunJSON(t *testing.T) {
	var out bytes.Buffer
	binary := program(t, 0, strings.Replace(tcpLine, "300", "301", 1), udpLine, closingLine)
	if err := run(t.Context(), []string{"--json", "--binary", binary, captureFolder(t)}, &out); !errors.Is(err, errBelow) {
		t.Errorf("%v, want %v", err, errBelow)
	}
	var got struct {
		Equal       bool
		Figures     []row
		Faults      []fault
		Differences []difference
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := difference{"x.pcap", "tcp 192.0.2.2:80 <- 192.0.2.1:50000", "bytes", "rx", "301", "300"}
	if got.Equal || len(got.Figures) != len(figures())+1 || len(got.Faults) != 0 || len(got.Differences) != 1 || got.Differences[0] != want {
		t.Errorf("%+v", got)
	}
}

// TestRunRefuses: what cannot be compared is an error that says where.
func TestRunRefuses(t *testing.T) {
	whole := func(change map[string]string) map[string]string {
		files := map[string]string{"x.pcap": "", "x.pcap.flows.json": "[]", "x.pcap.meta.json": `{"packets_raw_parser":0}`}
		for name, content := range change {
			delete(files, strings.TrimPrefix(name, "-"))
			if !strings.HasPrefix(name, "-") {
				files[name] = content
			}
		}
		return files
	}
	for name, c := range map[string]struct {
		change map[string]string
		want   string
	}{
		"no captures":         {map[string]string{"-x.pcap": "", "-x.pcap.flows.json": ""}, "no captures"},
		"no oracle":           {map[string]string{"-x.pcap.flows.json": ""}, "x.pcap: there is no oracle beside it"},
		"no capture":          {map[string]string{"-x.pcap": ""}, "x.pcap.flows.json: there is no x.pcap"},
		"no description":      {map[string]string{"-x.pcap.meta.json": ""}, "there is no x.pcap.meta.json beside it"},
		"a cut oracle":        {map[string]string{"x.pcap.flows.json": `[{"proto":"TCP"`}, "x.pcap.flows.json: after byte"},
		"no JSON":             {map[string]string{"x.pcap.flows.json": `[{]`}, "x.pcap.flows.json: after byte 0: byte 3"},
		"another type":        {map[string]string{"x.pcap.flows.json": `[{"a_port":"x"}]`}, "a_port"},
		"two arrays":          {map[string]string{"x.pcap.flows.json": `[][]`}, "something follows"},
		"a flow without part": {map[string]string{"x.pcap.flows.json": strings.Replace(oracleText, `"agree":true`, `"agre":true`, 1)}, "flow 1: agree is missing"},
		"flags":               {map[string]string{"x.pcap.flows.json": strings.Replace(oracleText, "0x01b", "SYN", 1)}, "flow 1: flags_or"},
		"no gzip":             {map[string]string{"-x.pcap.flows.json": "", "x.pcap.flows.json.gz": "[]"}, "x.pcap.flows.json.gz: unpack"},
		"no packets":          {map[string]string{"x.pcap.meta.json": "{}"}, "x.pcap.meta.json: packets_raw_parser is missing"},
	} {
		err := run(t.Context(), []string{"--binary", program(t, 0, closingLine), folder(t, whole(c.change))}, new(bytes.Buffer))
		if err == nil || errors.Is(err, errBelow) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for name, args := range map[string][]string{
		"no folder is there":   {filepath.Join(t.TempDir(), "absent")},
		"no folder is named":   {},
		"two folders":          {"a", "b"},
		"no such program":      {"--binary", "/absent/fivetuple", captureFolder(t)},
		"no such flag":         {"--no-such-flag", "a"},
		"a file, not a folder": {filepath.Join(captureFolder(t), "x.pcap")},
	} {
		if err := run(t.Context(), args, new(bytes.Buffer)); err == nil || errors.Is(err, errBelow) {
			t.Errorf("%s: %v, want an error", name, err)
		}
	}
}
