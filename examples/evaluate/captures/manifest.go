// Package captures replays labelled captures through the kernel program by their own time, with the watcher looking at its
// tables once a second of that time. Calls are not seen by a plugin there: only what is told of addresses and listeners counts.
package captures

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Label says what a capture is.
type Label uint8

// The labels.
const (
	Ordinary Label = iota // traffic that must raise no flag
	Attack
	Odd // malformed or fuzzed: neither
)

// Capture is a file and what is known of it.
type Capture struct {
	Name  string // of the file
	Path  string
	Tags  []string
	Shows string
	Label Label
}

// ManifestName is the list of captures in their folder: tab-separated, with a head. It needs the columns file and tags.
const ManifestName = "MANIFEST.tsv"

// ErrManifest means that the list is not as it must be.
var ErrManifest = errors.New("wrong list of captures")

// Read reads a folder's list.
func Read(folder string) ([]Capture, error) {
	path := filepath.Join(folder, ManifestName)
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the list of captures: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	if !lines.Scan() {
		return nil, fmt.Errorf("%w: %s is empty", ErrManifest, path)
	}
	head := strings.Split(lines.Text(), "\t")
	file, tags, shows := slices.Index(head, "file"), slices.Index(head, "tags"), slices.Index(head, "shows")
	if file < 0 || tags < 0 {
		return nil, fmt.Errorf("%w: %s has no columns file and tags", ErrManifest, path)
	}
	var all []Capture
	for number := 2; lines.Scan(); number++ {
		columns := strings.Split(lines.Text(), "\t")
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		if len(columns) <= max(file, tags) || filepath.Base(columns[file]) != columns[file] {
			return nil, fmt.Errorf("%w: %s:%d: %q", ErrManifest, path, number, lines.Text())
		}
		c := newCapture(folder, columns[file], columns[tags])
		if shows >= 0 && shows < len(columns) {
			c.Shows = columns[shows]
		}
		all = append(all, c)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the list of captures: %w", err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: %s names none", ErrManifest, path)
	}
	return all, nil
}

func newCapture(folder, name, tags string) Capture {
	c := Capture{Name: name, Path: filepath.Join(folder, name)}
	for tag := range strings.SplitSeq(tags, ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			c.Tags = append(c.Tags, tag)
		}
	}
	switch {
	case slices.Contains(c.Tags, "attack"):
		c.Label = Attack
	case slices.Contains(c.Tags, "malformed"), slices.Contains(c.Tags, "fuzz"):
		c.Label = Odd
	}
	return c
}

// Kind returns what attack it is, by its tags: one of those that have a name of their own, or the first of the others.
func (c *Capture) Kind() string {
	for _, known := range []struct{ tag, kind string }{
		{"slowloris", "slow-headers"},
		{"slow-headers", "slow-headers"},
		{"slow-body", "slow-body"},
		{"slow-post", "slow-body"},
		{"rudy", "slow-body"},
		{"port-scan", "port-scan"},
		{"syn-scan", "port-scan"},
		{"syn-flood", "syn-flood"},
		{"http-flood", "http-flood"},
		{"reflection", "reflection"},
		{"volume", "volume"},
	} {
		if slices.Contains(c.Tags, known.tag) {
			return known.kind
		}
	}
	for _, tag := range c.Tags {
		if tag != "attack" {
			return tag
		}
	}
	return "attack"
}
