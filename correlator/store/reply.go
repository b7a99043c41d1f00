package store

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// The bounds of what a server may answer. A client allocates what a length announces before the bytes arrive, so a length above its
// bound ends the connection before go-redis reads it.
const (
	// maxBulk is the longest bulk string, in bytes: proto-max-bulk-len of conf/redis/redis.conf, the most that a member can write
	// there. The longest of ours is a value of flags, of MaxValue bytes, and the byte more that GETRANGE requests.
	maxBulk = 1 << 20
	// maxLine is the longest line, in bytes, with its type and its end. The longest real one is an error that repeats the arguments of
	// an unknown command, of which Redis quotes 128 bytes each: some 400 bytes. A big number is a line, too; no command of ours has one.
	maxLine = 4 << 10
	// maxElements is how many elements an answer has, at all levels, a map's keys and values counted each. The largest real one is
	// CLUSTER SLOTS where each of 16,384 slots is a range of its own with a replica: 213,000.
	maxElements = 1 << 18
	// maxDepth is how many arrays, sets and maps are nested in each other. The deepest real one is COMMAND, which a client of a Cluster
	// requests: the key specifications of subcommands are at level 8.
	maxDepth = 16
	// maxAnswer is how many bytes an answer has: all replies to the commands that were written at once, or one message of a
	// subscription. The largest real one is the figures of the 10,000 routes of a gateway in one bucket (HGETALL): some 32 MB.
	maxAnswer = 64 << 20
	// maxDigits is the longest text of a length. 20 bytes are a sign and the digits of any 64-bit number.
	maxDigits = 20
)

// ErrReply is a reply beyond these bounds, or one that is not RESP. Its connection is not used any more.
var ErrReply = errors.New("reply rejected")

// state is which part of a reply comes next.
type state uint8

const (
	atType   state = iota // the byte that names the type
	inLine                // the rest of a line
	inLength              // the digits of a length
	atFeed                // the line feed after a length
	inBulk                // the bytes of a bulk string, and its end
)

// framing follows the framing of RESP2 and RESP3 through a stream of replies, wherever it is cut. The zero value is at its beginning.
type framing struct {
	state state
	kind  byte // the type of the value that has begun
	isEnd bool // the line's last byte so far is a carriage return

	digits [maxDigits]byte
	n      int // digits, or bytes of the line, so far
	rest   int // bytes of the bulk string that are to come, with its end

	depth int
	left  [maxDepth]int // how many elements are to come, by level

	// What the answer has had so far.
	bytes, elements int
	isNew           bool // the next reply begins another answer
	isSplit         bool // each reply is an answer: a subscription
}

// follow reads on, and returns how many bytes are right, which does not depend on how the stream is cut. With an error, the rest must
// not be read.
func (f *framing) follow(p []byte) (good int, err error) {
	for good < len(p) && err == nil {
		n, state := 1, f.state
		switch state {
		case atType:
			err = f.begin(p[good])
		case inLine:
			n, err = f.line(p[good:])
		case inLength:
			err = f.digit(p[good])
		case atFeed:
			err = f.length(p[good])
		case inBulk:
			n = min(f.rest, len(p)-good)
			if f.rest -= n; f.rest == 0 {
				f.end()
			}
		}
		if err != nil && state != inLine {
			n = 0
		}
		good += n
		f.bytes += n
	}
	return good, err
}

// begin begins a value.
func (f *framing) begin(kind byte) error {
	if f.depth == 0 && (f.isNew || f.isSplit) {
		f.bytes, f.elements, f.isNew = 0, 0, false
	}
	if f.bytes >= maxAnswer {
		return fmt.Errorf("%w: an answer of more than %d bytes", ErrReply, maxAnswer)
	}
	f.kind, f.n, f.isEnd = kind, 0, false
	switch kind {
	case '+', '-', ':', '_', '#', ',', '(':
		f.n, f.state = 1, inLine
	case '$', '=', '!', '*', '~', '>', '%':
		f.state = inLength
	default: // an attribute (|), too, which no command of ours has
		return fmt.Errorf("%w: no value is of the type %q", ErrReply, kind)
	}
	if f.depth == 0 {
		return f.count(1)
	}
	return nil
}

func (f *framing) count(elements int) error {
	if elements > maxElements-f.elements {
		return fmt.Errorf("%w: %s of %d elements, %d before it in this answer, at most %d", ErrReply, f.name(), elements, f.elements, maxElements)
	}
	f.elements += elements
	return nil
}

// line reads on in a line, which ends with the first line feed, and returns how many bytes are right.
func (f *framing) line(p []byte) (n int, err error) {
	at := bytes.IndexByte(p, '\n')
	if n = at; at < 0 {
		n = len(p)
	}
	if room := maxLine - len("\n") - f.n; n > room {
		return room, fmt.Errorf("%w: %s of more than %d bytes", ErrReply, f.name(), maxLine)
	}
	f.n += n
	if n > 0 {
		f.isEnd = p[n-1] == '\r'
	}
	switch {
	case at < 0:
		return n, nil
	case !f.isEnd:
		return n, fmt.Errorf("%w: %s with a line feed and no carriage return", ErrReply, f.name())
	}
	f.end()
	return n + 1, nil
}

// digit reads a byte of a length.
func (f *framing) digit(b byte) error {
	switch {
	case b == '\r':
		f.state = atFeed
	case f.n == maxDigits:
		return fmt.Errorf("%w: %s with a length of more than %d digits", ErrReply, f.name(), maxDigits)
	case (b < '0' || b > '9') && (f.n > 0 || b != '-' && b != '+'):
		return fmt.Errorf("%w: %s with the length %q", ErrReply, f.name(), append(f.digits[:f.n:f.n], b))
	default:
		f.digits[f.n] = b
		f.n++
	}
	return nil
}

// length reads the end of a length, which begins what it is of.
func (f *framing) length(b byte) error {
	text := f.digits[:f.n]
	n, err := strconv.Atoi(string(text)) // does not escape: no allocation
	switch {
	case b != '\n' || err != nil || n < -1:
		return fmt.Errorf("%w: %s with the length %q", ErrReply, f.name(), text)
	case n == -1: // none
		f.end()
		return nil
	}
	switch f.kind {
	case '$', '=', '!':
		return f.bulk(n)
	case '%':
		if n > maxElements {
			return f.count(n)
		}
		return f.aggregate(2 * n)
	}
	return f.aggregate(n)
}

func (f *framing) bulk(n int) error {
	if n > maxBulk {
		return fmt.Errorf("%w: %s of %d bytes, at most %d", ErrReply, f.name(), n, maxBulk)
	}
	f.state, f.rest = inBulk, n+len("\r\n")
	return nil
}

func (f *framing) aggregate(n int) error {
	if err := f.count(n); err != nil {
		return err
	}
	if n == 0 {
		f.end()
		return nil
	}
	if f.depth == maxDepth {
		return fmt.Errorf("%w: %s at level %d, at most %d", ErrReply, f.name(), f.depth+1, maxDepth)
	}
	f.left[f.depth] = n
	f.depth++
	f.state = atType
	return nil
}

// end ends a value, and with it those that it was the last element of.
func (f *framing) end() {
	f.state = atType
	for f.depth > 0 {
		f.left[f.depth-1]--
		if f.left[f.depth-1] > 0 {
			return
		}
		f.depth--
	}
}

// name names the type of the value.
func (f *framing) name() string {
	switch f.kind {
	case '$':
		return "bulk string"
	case '=':
		return "verbatim string"
	case '!':
		return "bulk error"
	case '*':
		return "array"
	case '~':
		return "set"
	case '>':
		return "push"
	case '%':
		return "map"
	case '(':
		return "big number"
	case '-':
		return "error"
	}
	return fmt.Sprintf("line of type %q", f.kind)
}
