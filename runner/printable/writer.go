package printable

import "io"

// writer escapes what is written through it.
type writer struct {
	to     io.Writer
	escape func([]byte) []byte
}

// NewTextWriter returns a writer of lines of text, see Text. Each write holds whole characters: a buffer belongs behind it, not in front.
func NewTextWriter(to io.Writer) io.Writer { return writer{to, Text} }

// NewJSONWriter returns a writer of lines of JSON, see JSON. Each write holds whole characters.
func NewJSONWriter(to io.Writer) io.Writer { return writer{to, JSON} }

// Write returns len(b) if all of b was written, and 0 and the error if not: how much of b that was is not known.
func (w writer) Write(b []byte) (int, error) {
	escaped := w.escape(b)
	n, err := w.to.Write(escaped)
	if err == nil {
		return len(b), nil
	}
	if len(escaped) == len(b) { // nothing was escaped: an escape is longer than what it stands for
		return n, err
	}
	return 0, err
}
