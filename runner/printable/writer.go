package printable

import (
	stdjson "encoding/json"
	"io"
	"unicode/utf8"
)

// writer escapes what is written through it.
type writer struct {
	to     io.Writer
	escape func([]byte) []byte
	part   []byte // of a character whose other bytes are not there yet
}

// NewTextWriter returns a writer of lines of text, see Text. A character that a write ends in is written with the next one, so that
// buffers may be in front of it. One goroutine writes.
func NewTextWriter(to io.Writer) io.Writer { return &writer{to: to, escape: Text} }

// NewJSONWriter returns a writer of lines of JSON, see JSON, and otherwise like NewTextWriter.
func NewJSONWriter(to io.Writer) io.Writer { return &writer{to: to, escape: JSON} }

// NewEncoder returns an encoder of JSON whose output is printable.
func NewEncoder(to io.Writer) *stdjson.Encoder { return stdjson.NewEncoder(NewJSONWriter(to)) }

// Write returns len(b) if b was written. If not, it returns how much of it was, or 0 where that is not known because something was
// escaped.
func (w *writer) Write(b []byte) (int, error) {
	whole := b
	if len(w.part) > 0 {
		whole = append(w.part, b...)
	}
	cut := partial(whole)
	escaped := w.escape(whole[:cut])
	n, err := w.to.Write(escaped)
	if err != nil {
		if len(w.part) > 0 || len(escaped) != cut { // an escape is longer than what it stands for
			n = 0
		}
		return n, err
	}
	w.part = append([]byte(nil), whole[cut:]...)
	return len(b), nil
}

// partial returns where the last character begins, if more bytes could belong to it; else the length.
func partial(b []byte) int {
	for at := len(b) - 1; at >= max(0, len(b)-utf8.UTFMax+1); at-- {
		if utf8.RuneStart(b[at]) {
			if !utf8.FullRune(b[at:]) {
				return at
			}
			break
		}
	}
	return len(b)
}
