package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// captureFiles are a capture and what lies beside it.
type captureFiles struct {
	name   string // of the capture, without its folder
	path   string
	oracle string // X.flows.json or X.flows.json.gz
	meta   string // X.meta.json
}

var errNoCaptures = errors.New("no captures (*.pcap, *.pcapng)")

// findCaptures returns the captures of a folder, by name. Each must have an oracle and a description beside it.
func findCaptures(folder string) ([]captureFiles, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("read the folder of captures: %w", err)
	}
	names := make(map[string]bool)
	for _, e := range entries {
		names[e.Name()] = true
	}
	var captures []captureFiles
	for _, e := range entries {
		name := e.Name()
		if ext := filepath.Ext(name); ext != ".pcap" && ext != ".pcapng" {
			if of, ok := oracleOf(name); ok && !names[of] {
				err = errors.Join(err, fmt.Errorf("%s: there is no %s", filepath.Join(folder, name), of))
			}
			continue
		}
		c := captureFiles{name: name, path: filepath.Join(folder, name), meta: filepath.Join(folder, name+".meta.json")}
		switch {
		case names[name+".flows.json"]:
			c.oracle = c.path + ".flows.json"
		case names[name+".flows.json.gz"]:
			c.oracle = c.path + ".flows.json.gz"
		default:
			err = errors.Join(err, fmt.Errorf("%s: there is no oracle beside it, %s.flows.json or .flows.json.gz", c.path, name))
		}
		if !names[name+".meta.json"] {
			err = errors.Join(err, fmt.Errorf("%s: there is no %s.meta.json beside it", c.path, name))
		}
		captures = append(captures, c)
	}
	if err == nil && len(captures) == 0 {
		err = fmt.Errorf("%s: %w", folder, errNoCaptures)
	}
	return captures, err
}

// oracleOf returns the capture that a file is the oracle of.
func oracleOf(name string) (string, bool) {
	return strings.CutSuffix(strings.TrimSuffix(name, ".gz"), ".flows.json")
}
