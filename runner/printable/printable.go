// Package printable escapes text that others chose (route ids, paths, file names, a server's replies) before it reaches a terminal, a
// log, a table or a metric. What is escaped could move the cursor, change how neighbouring text is read, or is not visible: control
// characters (C0, DEL, C1 such as U+009B), line and paragraph separators, bidirectional controls, zero-width and other format
// characters, fillers and variation selectors, spaces other than U+0020, private-use and unassigned code points, and bytes that are
// not UTF-8.
//
// It imports nothing of ours, so that every package of the runner may use it.
package printable

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Is reports whether a character may be shown as it is.
func Is(r rune) bool {
	if r < utf8.RuneSelf {
		return ' ' <= r && r <= '~'
	}
	return unicode.IsPrint(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// String returns a value for a terminal, a line of a log, a cell of a table or a metric's label: what is not printable is replaced by a
// visible escape: \n, \r, \t, \u009b, \U000e0001, or \xff for a byte that is not UTF-8. A backslash stays as it is, so that
// String(String(s)) is String(s), and two values may look alike. Without anything to escape it returns s and allocates nothing.
func String(s string) string {
	clean := prefix(s, 0)
	if clean == len(s) {
		return s
	}
	return string(appendEscaped(make([]byte, 0, len(s)+16), s, clean, text))
}

// Text is String for text of several lines, whose line feeds stay. It returns b itself if there is nothing to escape.
func Text(b []byte) []byte { return escape(b, lines) }

// JSON returns an encoded JSON document, or lines of such, with the escape \uXXXX (two of them above U+FFFF) in place of what is not
// printable: the values stay the same. Line feeds between tokens stay; tabs and carriage returns there become spaces. A byte that is
// not UTF-8 becomes \ufffd, which is how decoders read it. It returns b itself if there is nothing to escape.
func JSON(b []byte) []byte { return escape(b, json) }

// form is how escapes are written.
type form int

const (
	text  form = iota // one line
	lines             // as text, and line feeds stay
	json              // as in a JSON string, and line feeds stay
)

func escape(b []byte, as form) []byte {
	clean := 0
	for clean += prefix(b, clean); clean < len(b) && b[clean] == '\n'; {
		clean++
		clean += prefix(b, clean)
	}
	if clean == len(b) {
		return b
	}
	return appendEscaped(make([]byte, 0, len(b)+16), b, clean, as)
}

// prefix returns how many bytes from a place on are printable characters.
func prefix[T string | []byte](s T, from int) int {
	at := from
	for at < len(s) {
		if c := s[at]; c < utf8.RuneSelf {
			if c < ' ' || c > '~' {
				break
			}
			at++
			continue
		}
		r, size := decode(s, at)
		if r == utf8.RuneError && size == 1 || !Is(r) {
			break
		}
		at += size
	}
	return at - from
}

// decode returns the character at a place and its size in bytes; of a byte that is not UTF-8, U+FFFD and 1.
func decode[T string | []byte](s T, at int) (r rune, size int) {
	var b [utf8.UTFMax]byte
	return utf8.DecodeRune(b[:copy(b[:], s[at:min(at+utf8.UTFMax, len(s))])])
}

// appendEscaped appends s, of which the first clean bytes have nothing to escape.
func appendEscaped[T string | []byte](to []byte, s T, clean int, as form) []byte {
	to = append(to, s[:clean]...)
	for at := clean; at < len(s); {
		r, size := decode(s, at)
		switch {
		case r == utf8.RuneError && size == 1:
			to = appendInvalid(to, s[at], as)
		case r == '\n' && as != text:
			to = append(to, '\n')
		case Is(r):
			to = append(to, s[at:at+size]...)
		default:
			to = appendEscape(to, r, as)
		}
		at += size
	}
	return to
}

func appendInvalid(to []byte, c byte, as form) []byte {
	if as == json {
		return append(to, `\ufffd`...)
	}
	return append(to, '\\', 'x', digits[c>>4], digits[c&15])
}

const digits = "0123456789abcdef"

func appendEscape(to []byte, r rune, as form) []byte {
	switch {
	case as == json && (r == '\t' || r == '\r'): // JSON has them between tokens only
		return append(to, ' ')
	case r == '\n':
		return append(to, `\n`...)
	case r == '\r':
		return append(to, `\r`...)
	case r == '\t':
		return append(to, `\t`...)
	case r <= 0xffff:
		return appendHex(append(to, `\u`...), r, 4)
	case as == json:
		r -= 0x10000
		to = appendHex(append(to, `\u`...), 0xd800+r>>10, 4)
		return appendHex(append(to, `\u`...), 0xdc00+r&0x3ff, 4)
	default:
		return appendHex(append(to, `\U`...), r, 8)
	}
}

// appendHex appends a number with so many hexadecimal digits.
func appendHex(to []byte, r rune, width int) []byte {
	var b [8]byte
	hex := strconv.AppendInt(b[:0], int64(r), 16)
	for range width - len(hex) {
		to = append(to, '0')
	}
	return append(to, hex...)
}
