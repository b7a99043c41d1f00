package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"
)

// canned is a connection that has bytes to read, at most so many at once by the function cut.
type canned struct {
	net.Conn
	text []byte
	cut  func() int
}

func (c *canned) Read(p []byte) (int, error) {
	if len(c.text) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.cut())], c.text)
	c.text = c.text[n:]
	return n, nil
}

func (*canned) Write(p []byte) (int, error)      { return len(p), nil }
func (*canned) Close() error                     { return nil }
func (*canned) SetDeadline(time.Time) error      { return nil }
func (*canned) SetReadDeadline(time.Time) error  { return nil }
func (*canned) SetWriteDeadline(time.Time) error { return nil }
func (*canned) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 6379} }
func (*canned) LocalAddr() net.Addr              { return &net.TCPAddr{} }

func whole() int { return 1 << 30 }

// cuts returns random lengths, short ones most of the time.
func cuts(seed uint64) func() int {
	random := rand.New(rand.NewPCG(seed, 0))
	return func() int { return 1 + random.IntN(1<<random.IntN(16)) }
}

// read returns what can be read of a stream of replies, in pieces.
func read(text []byte, cut func() int) (string, error) {
	forwarded, err := io.ReadAll(checked(&canned{text: text, cut: cut}))
	return string(forwarded), err
}

// nested are n arrays in each other.
func nested(n int) string { return strings.Repeat("*1\r\n", n) + ":1\r\n" }

// TestRepliesBeyondTheBounds has each bound met and passed, with all before it forwarded.
func TestRepliesBeyondTheBounds(t *testing.T) {
	line := strings.Repeat("x", maxLine-3)
	bulk := fmt.Sprintf("$%d\r\n%s\r\n", maxBulk, strings.Repeat("x", maxBulk))
	for _, x := range []struct{ name, good, bad, want string }{
		{"makeslice", "", "$9000000000000000000\r\n", `bulk string of 9000000000000000000 bytes, at most 1048576`},
		{"2 GB", "+OK\r\n", "$2147483000\r\n", `bulk string of 2147483000 bytes, at most 1048576`},
		{"a map of 5 GB", "", "%2147483647\r\n", `map of 2147483647 elements, 1 before it in this answer, at most 262144`},
		{"a map that overflows", "", "%9223372036854775807\r\n", `map of 9223372036854775807 elements`},
		{"beyond 64 bits", "", "*99999999999999999999\r\n", `array with the length "99999999999999999999"`},
		{"digits", "$000000000000000000\r\n\r\n", "$000000000000000000000\r\n", "bulk string with a length of more than 20 digits"},
		{"no length", "$-1\r\n", "$\r\n", `bulk string with the length ""`},
		{"negative", "*-1\r\n", "*-2\r\n", `array with the length "-2"`},
		{"streamed", "", "$?\r\n", `bulk string with the length "?"`},
		{"bulk", bulk, fmt.Sprintf("$%d\r\n", maxBulk+1), "bulk string of 1048577 bytes, at most 1048576"},
		{"verbatim", "=5\r\ntxt:x\r\n", "=1048577\r\n", "verbatim string of 1048577 bytes"},
		{"bulk error", "!3\r\nERR\r\n", "!1048577\r\n", "bulk error of 1048577 bytes"},
		{"array", "*2\r\n:1\r\n$1\r\na\r\n", "*262144\r\n", "array of 262144 elements"},
		{"set", "~1\r\n#t\r\n", "~262144\r\n", "set of 262144 elements"},
		{"push", ">1\r\n+message\r\n", ">262144\r\n", "push of 262144 elements"},
		{"map", "%1\r\n+a\r\n_\r\n", "%131072\r\n", "map of 262144 elements"},
		{"all elements", "*2\r\n*200000\r\n" + strings.Repeat("*0\r\n", 200000), "*62142\r\n", "array of 62142 elements, 200003 before it in this answer"},
		{"depth", nested(maxDepth), nested(maxDepth + 1), "array at level 17, at most 16"},
		{"line", "-" + line + "\r\n", "-" + line + "x\r\n", "error of more than 4096 bytes"},
		{"big number", "(123456789012345678901234567890\r\n", "(" + strings.Repeat("9", maxLine) + "\r\n", "big number of more than 4096 bytes"},
		{"bare line feed", ":1\r\n", ":1\n", `line of type ':' with a line feed and no carriage return`},
		{"attribute", ",1.5\r\n", "|1\r\n+a\r\n+b\r\n:1\r\n", `no value is of the type '|'`},
		{"not RESP", "", "HTTP/1.1 400 Bad Request\r\n", `no value is of the type 'H'`},
		{"answer", strings.Repeat(bulk, 64), "+OK\r\n", "an answer of more than 67108864 bytes"},
	} {
		t.Run(x.name, func(t *testing.T) {
			for seed, cut := range []func() int{whole, cuts(1), cuts(2)} {
				got, err := read([]byte(x.good+x.bad), cut)
				if !errors.Is(err, ErrReply) || !strings.Contains(err.Error(), "read from redis at 192.0.2.1:6379: reply rejected: "+x.want) {
					t.Errorf("%d: %.200v, want %s", seed, err, x.want)
				}
				if !strings.HasPrefix(got, x.good) || !strings.HasPrefix(x.good+x.bad, got) || strings.HasSuffix(got, x.bad) {
					t.Errorf("%d: %d bytes are forwarded, %d are right", seed, len(got), len(x.good))
				}
				if got, err := read([]byte(x.good), cut); got != x.good || err != nil {
					t.Errorf("%d: within the bounds: %d of %d bytes, %.200v", seed, len(got), len(x.good), err)
				}
			}
		})
	}
}

// TestAnAnswerIsToWhatWasWritten: the bound is of one answer, and of one message of a subscription, which goes on for ever.
func TestAnAnswerIsToWhatWasWritten(t *testing.T) {
	message := []byte(fmt.Sprintf("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$%d\r\n%s\r\n", maxBulk, strings.Repeat("x", maxBulk)))
	p := make([]byte, len(message))
	many := func(before string, each func(c net.Conn)) (n int, err error) {
		text := &canned{cut: whole}
		c := checked(text)
		_, _ = c.Write([]byte(before))
		for n = range 3 * maxAnswer / len(message) {
			text.text = message
			if each(c); err == nil {
				_, err = io.ReadFull(c, p)
			}
			if err != nil {
				break
			}
		}
		return n, err
	}
	if n, err := many("*1\r\n$4\r\nPING\r\n", func(net.Conn) {}); !errors.Is(err, ErrReply) || n < maxAnswer/len(message) {
		t.Errorf("one answer: %d replies, %v", n, err)
	}
	if _, err := many("", func(c net.Conn) { _, _ = c.Write([]byte("*1\r\n$4\r\nPING\r\n")) }); err != nil {
		t.Error("many answers: ", err)
	}
	if _, err := many("*2\r\n$10\r\npsubscribe\r\n$1\r\na\r\n", func(net.Conn) {}); err != nil {
		t.Error("a subscription: ", err)
	}
}

// endless is a connection that repeats some bytes.
type endless struct {
	canned
	text []byte
	at   int
}

func (c *endless) Read(p []byte) (int, error) {
	n := copy(p, c.text[c.at:])
	c.at = (c.at + n) % len(c.text)
	return n, nil
}

// events is an answer with entries of a stream, as `fivetuple events` reads them.
func events() []byte {
	var text bytes.Buffer
	const n = 1000
	fmt.Fprintf(&text, "*%d\r\n", n)
	for i := range n {
		fmt.Fprintf(&text, "*2\r\n$15\r\n17640000%05d-0\r\n*2\r\n$5\r\nevent\r\n$300\r\n%s\r\n", i, strings.Repeat("x", 300))
	}
	return text.Bytes()
}

// TestReadingAllocatesNothing holds the cost of each reading.
func TestReadingAllocatesNothing(t *testing.T) {
	c, p := checked(&endless{text: events()}), make([]byte, 4096)
	allocations := testing.AllocsPerRun(1000, func() {
		_, _ = c.Write(nil)
		if _, err := c.Read(p); err != nil {
			t.Fatal(err)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

// BenchmarkRead is what the checks cost, beside a connection without them: 1,000 events, and a value of 34 KB.
func BenchmarkRead(b *testing.B) {
	value := []byte(fmt.Sprintf("$34000\r\n%s\r\n", strings.Repeat("x", 34000)))
	for name, text := range map[string][]byte{"events": events(), "value": value} {
		for _, isChecked := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/checked=%v", name, isChecked), func(b *testing.B) {
				var c net.Conn = &endless{text: text}
				if isChecked {
					c = checked(c)
				}
				p := make([]byte, 32<<10)
				b.ReportAllocs()
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					_, _ = c.Write(nil)
					for left := len(text); left > 0; {
						n, err := c.Read(p[:min(left, len(p))])
						if err != nil {
							b.Fatal(err)
						}
						left -= n
					}
				}
			})
		}
	}
}
