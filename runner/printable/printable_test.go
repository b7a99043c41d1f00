package printable

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEscapes(t *testing.T) {
	for _, c := range []struct{ name, in, text, json string }{
		{"plain", "GET /a b~", "GET /a b~", "GET /a b~"},
		{"letters, marks, signs", "für Ελλάδα 日本 e\u0301 → 🙂 �", "für Ελλάδα 日本 e\u0301 → 🙂 �", "für Ελλάδα 日本 e\u0301 → 🙂 �"},
		{"ESC, BEL, NUL, DEL", "a\x1b[2J\a\x00\x7f", `a\u001b[2J\u0007\u0000\u007f`, `a\u001b[2J\u0007\u0000\u007f`},
		{"CSI and OSC of C1", "\u009b31m\u009d", `\u009b31m\u009d`, `\u009b31m\u009d`},
		{"next line", "\u0085", `\u0085`, `\u0085`},
		{"bidirectional", "\u202eabc\u2066\u061c\u200f", `\u202eabc\u2066\u061c\u200f`, `\u202eabc\u2066\u061c\u200f`},
		{"separators", "\u2028\u2029", `\u2028\u2029`, `\u2028\u2029`},
		{"zero width", "\u200b\u200d\ufeff\u00ad\u180e", `\u200b\u200d\ufeff\u00ad\u180e`, `\u200b\u200d\ufeff\u00ad\u180e`},
		{"not visible", "\u3164\u034f\ufe0f\u115f", `\u3164\u034f\ufe0f\u115f`, `\u3164\u034f\ufe0f\u115f`},
		{"spaces", "\u00a0\u3000", `\u00a0\u3000`, `\u00a0\u3000`},
		{"private, unassigned", "\ue000\u0378\U0010ffff", `\ue000\u0378\U0010ffff`, `\ue000\u0378\udbff\udfff`},
		{"tag", "\U000e0001", `\U000e0001`, `\udb40\udc01`},
		{"not UTF-8", "a\xffb\xe2\x80", `a\xffb\xe2\x80`, `a\ufffdb\ufffd\ufffd`},
		{"surrogate", "\xed\xa0\x80", `\xed\xa0\x80`, `\ufffd\ufffd\ufffd`},
		{"line feed", "a\nb", `a\nb`, "a\nb"},
		{"tab, carriage return", "a\t\rb", `a\t\rb`, "a  b"},
		{"backslash", `a\u001b`, `a\u001b`, `a\u001b`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := String(c.in); got != c.text {
				t.Errorf("String(%q) = %s, want %s", c.in, got, c.text)
			}
			if got := string(JSON([]byte(c.in))); got != c.json {
				t.Errorf("JSON(%q) = %s, want %s", c.in, got, c.json)
			}
			if got, want := string(Text([]byte(c.in+"\n"))), strings.ReplaceAll(c.text, `\n`, "\n")+"\n"; got != want {
				t.Errorf("Text(%q) = %s, want %s", c.in, got, want)
			}
		})
	}
}

func TestAllocatesNothing(t *testing.T) {
	s := strings.Repeat("route-1 für 日本 ", 50)
	line := []byte(`{"route":"` + s + "\"}\n")
	if n := testing.AllocsPerRun(100, func() {
		_ = String(s)
		_ = Text(line)
		_ = JSON(line)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

type failing struct{ n int }

func (f failing) Write([]byte) (int, error) { return f.n, errors.New("full") }

func TestWriter(t *testing.T) {
	var b bytes.Buffer
	for _, in := range []string{"plain\n", "\u009b\n"} {
		if n, err := NewTextWriter(&b).Write([]byte(in)); n != len(in) || err != nil {
			t.Errorf("Write(%q) = %d, %v", in, n, err)
		}
	}
	if n, err := NewJSONWriter(&b).Write([]byte("\U000e0001")); n != 4 || err != nil {
		t.Errorf("Write = %d, %v", n, err)
	}
	if got, want := b.String(), "plain\n\\u009b\n\\udb40\\udc01"; got != want {
		t.Errorf("%q was written, want %q", got, want)
	}
	for in, want := range map[string]int{"plain": 3, "\u009b": 0} {
		if n, err := NewTextWriter(failing{3}).Write([]byte(in)); n != want || err == nil {
			t.Errorf("Write(%q) = %d, %v, want %d and an error", in, n, err, want)
		}
	}
}

// TestWriterOfParts writes characters byte by byte, as a buffer in front of the writer may.
func TestWriterOfParts(t *testing.T) {
	const in, want = "日本\u009b🙂\xff\xe2\n", "日本\\u009b🙂\\xff\\xe2\n"
	for size := 1; size <= len(in); size++ {
		var b bytes.Buffer
		w := NewTextWriter(&b)
		for rest := in; rest != ""; {
			n, err := w.Write([]byte(rest[:min(size, len(rest))]))
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if b.String() != want {
			t.Errorf("in parts of %d bytes: %q, want %q", size, b.String(), want)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"", "a", "\x1b[0m", "\u009b", "\u202e", "\xff", "\U000e0001", "\ufffd", "a\nb\tc\r", `\u001b`, "\xf0\x9f\x99"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		shown := String(s)
		onlyPrintable(t, shown)
		if again := String(shown); again != shown {
			t.Errorf("String(%q) = %q, and of that %q", s, shown, again)
		}
		for part := range strings.SplitSeq(string(Text([]byte(s))), "\n") {
			onlyPrintable(t, part)
		}

		encoded, err := stdjson.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		escaped := JSON(encoded)
		onlyPrintable(t, string(escaped))
		var back string
		if err := stdjson.Unmarshal(escaped, &back); err != nil {
			t.Fatalf("JSON(%s) = %s: %v", encoded, escaped, err)
		}
		if back != strings.ToValidUTF8(s, "\ufffd") && utf8.ValidString(s) {
			t.Errorf("%q became %q", s, back)
		}
		if again := JSON(escaped); !bytes.Equal(again, escaped) {
			t.Errorf("JSON(%s) = %s, and of that %s", encoded, escaped, again)
		}

		// Text that is not valid JSON yet, because its bytes are raw: what a reader makes of it stays the same.
		for part := range strings.SplitSeq(string(JSON([]byte(s))), "\n") {
			onlyPrintable(t, part)
		}
	})
}

func onlyPrintable(t *testing.T, s string) {
	t.Helper()
	for _, r := range s {
		if !Is(r) {
			t.Errorf("%q has %U", s, r)
		}
	}
	if !utf8.ValidString(s) {
		t.Errorf("%q is not UTF-8", s)
	}
}
