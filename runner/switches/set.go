// Package switches holds which routes are switched off at run time: fivetuple's plugins do not run on their calls, which
// go on with no change. A file is the switch: it is kept over restarts, and the gateway is not reloaded.
//
// # Reading the source
//
//   - set.go: what the file says, and whether a route is off.
//   - change.go: the file is changed whole or not at all, by one writer at a time.
//   - follow.go: the runner looks at the file twice a second.
//   - followed.go: how a writer finds out that a runner has done so.
package switches

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"fivetuple/correlator"
)

// Global is the word that stands for all global rules; a route with this id is switched together with them.
const Global = "global"

// MaxIDs bounds the routes that are off; a file with more is refused, and so is a change that would make more.
const MaxIDs = 65_536

const (
	// maxID is the length of APISIX's longest id.
	maxID = 64
	// maxFile is the largest file taken, in bytes: room for MaxIDs of the longest ids, and comments.
	maxFile = 8 << 20
	// maxMarks is how many elements a file may seem to have: a line and a hyphen for each of MaxIDs, and as many lines of comments.
	maxMarks = 3 * MaxIDs
	// maxShown is how much of a wrong value is repeated in its message, in bytes.
	maxShown = 80
)

// ErrFile means that a switch file is damaged, or wrong.
var ErrFile = errors.New("switch file is not taken")

// Set is which routes are off. It never changes.
type Set struct {
	ids map[string]struct{}
}

// Off says whether a route is off. A call whose configuration names no route never is.
func (s Set) Off(r correlator.Route) bool {
	if len(s.ids) == 0 {
		return false
	}
	_, off := s.ids[r.String()]
	return off
}

// IDs returns what is off, sorted.
func (s Set) IDs() []string { return slices.Sorted(maps.Keys(s.ids)) }

// Len returns how many ids are off.
func (s Set) Len() int { return len(s.ids) }

// with returns the set with an id off or on, and whether that is a change.
func (s Set) with(id string, off bool) (Set, bool) {
	if _, is := s.ids[id]; is == off {
		return s, false
	}
	ids := maps.Clone(s.ids)
	if ids == nil {
		ids = make(map[string]struct{})
	}
	if off {
		ids[id] = struct{}{}
	} else {
		delete(ids, id)
	}
	return Set{ids}, true
}

// CheckID reports what APISIX takes for no id of a route: its form is ^[a-zA-Z0-9-_.]+$, 1 to 64 bytes.
func CheckID(id string) error {
	const signs = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	if id == "" || len(id) > maxID || strings.Trim(id, signs) != "" {
		return fmt.Errorf("%s is not an id of 1 to %d letters, digits and _.-", quote(id), maxID)
	}
	return nil
}

// Parse reads a file's text: one YAML (or JSON) list of ids. The error names the first place that is wrong, and what
// stands there; name stands for the file. An empty text is no list: it is what a write that failed leaves behind.
func Parse(name string, text []byte) (Set, error) {
	if len(text) > maxFile {
		return Set{}, fmt.Errorf("%w: %s: larger than %d bytes", ErrFile, name, maxFile)
	}
	if n := marks(text); n > maxMarks {
		return Set{}, fmt.Errorf("%w: %s: %d lines, commas, colons and brackets, at most %d are read", ErrFile, name, n, maxMarks)
	}
	in := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	if err := in.Decode(&doc); errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		return Set{}, fmt.Errorf("%w: %s: no list; one that is empty is []", ErrFile, name)
	} else if err != nil {
		return Set{}, notYAML(name, err)
	}
	set, err := parseList(name, doc.Content[0])
	if err != nil {
		return Set{}, err
	}
	var second yaml.Node
	if err := in.Decode(&second); err == nil {
		if len(second.Content) > 0 { // its first line, not that of the mark
			second = *second.Content[0]
		}
		return Set{}, wrong(name, &second, "a second document begins here; one file is one document")
	} else if !errors.Is(err, io.EOF) {
		return Set{}, notYAML(name, err)
	}
	return set, nil
}

// marks counts what begins a new element in YAML, or may: each takes memory before anything can be checked, a hundred times its length.
func marks(text []byte) (n int) {
	for i, c := range text {
		switch c {
		case '\n', ',', '[', '{', ':', '?':
			n++
		case '-':
			if i+1 < len(text) && text[i+1] == ' ' {
				n++
			}
		}
	}
	return n
}

func parseList(name string, list *yaml.Node) (Set, error) {
	if list.Kind != yaml.SequenceNode {
		return Set{}, wrong(name, list, "%s is no list; one that is empty is []", quote(list.Value))
	}
	if len(list.Content) > MaxIDs {
		return Set{}, wrong(name, list, "%d ids, at most %d", len(list.Content), MaxIDs)
	}
	lines := make(map[string]int, len(list.Content))
	ids := make(map[string]struct{}, len(list.Content))
	for i, n := range list.Content {
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
			return Set{}, wrong(name, n, "[%d]: %s is no text, an id is in quotes if it looks like anything else: %q", i, quote(n.Value), "1")
		}
		if err := CheckID(n.Value); err != nil {
			return Set{}, wrong(name, n, "[%d]: %w", i, err)
		}
		if line, twice := lines[n.Value]; twice {
			return Set{}, wrong(name, n, "[%d]: %q is there twice, first on line %d", i, n.Value, line)
		}
		lines[n.Value], ids[n.Value] = n.Line, struct{}{}
	}
	return Set{ids}, nil
}

// text returns what Parse reads.
func (s Set) text() []byte {
	var out bytes.Buffer
	out.WriteString("# Routes whose calls fivetuple's plugins leave alone, and the word global for global rules. Written by\n" +
		"# `fivetuple route ID off|on`; whoever writes it by hand writes another file and renames it.\n")
	if len(s.ids) == 0 {
		out.WriteString("[]\n")
	}
	for _, id := range s.IDs() {
		fmt.Fprintf(&out, "- %q\n", id)
	}
	return out.Bytes()
}

func wrong(name string, n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%w: %s:%d: %w", ErrFile, name, n.Line, fmt.Errorf(format, args...))
}

func notYAML(name string, err error) error {
	text := strings.ReplaceAll(strings.TrimPrefix(err.Error(), "yaml: "), "\n", " ")
	return fmt.Errorf("%w: %s: not YAML: %s", ErrFile, name, shorten(text))
}

func shorten(text string) string {
	if len(text) > maxShown {
		return text[:maxShown] + "..."
	}
	return text
}

func quote(text string) string { return fmt.Sprintf("%q", shorten(text)) }
