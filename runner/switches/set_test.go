package switches

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"fivetuple/correlator"
)

func TestParse(t *testing.T) {
	for text, want := range map[string][]string{
		"[]":                                nil,
		"[] # nothing\n":                    nil,
		"- orders\n- \"1\"\n- global\n":     {"1", "global", "orders"},
		`["a", 'b', c]`:                     {"a", "b", "c"},
		"[\n  \"a\",\n  \"b\"\n]\n":         {"a", "b"},
		"---\n- a\n...\n":                   {"a"},
		"\ufeff- -._-\r\n- Z9\r\n":          {"-._-", "Z9"},
		"- " + strings.Repeat("x", 64):      {strings.Repeat("x", 64)},
		"- \"null\"\n- \"true\"\n- \"1.5\"": {"1.5", "null", "true"},
	} {
		set, err := Parse("s.yaml", []byte(text))
		if err != nil || !slices.Equal(set.IDs(), want) || set.Len() != len(want) {
			t.Errorf("%q: %v, %v, want %v", text, set.IDs(), err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	const noID = " is not an id of 1 to 64 letters, digits and _.-"
	noText := func(value string) string {
		return fmt.Sprintf(`: %q is no text, an id is in quotes if it looks like anything else: "1"`, value)
	}
	for text, want := range map[string]string{
		"":                                `s.yaml: no list; one that is empty is []`,
		"# nothing\n":                     `s.yaml: no list; one that is empty is []`,
		"~":                               `s.yaml:1: "~" is no list; one that is empty is []`,
		"orders":                          `s.yaml:1: "orders" is no list; one that is empty is []`,
		"off: [a]":                        `s.yaml:1: "" is no list; one that is empty is []`,
		"- a\n- 1":                        `s.yaml:2: [1]` + noText("1"),
		"[a, true]":                       `s.yaml:1: [1]` + noText("true"),
		"- ":                              `s.yaml:1: [0]` + noText(""),
		"- [a]":                           `s.yaml:1: [0]` + noText(""),
		"- &x a\n- *x":                    `s.yaml:2: [1]` + noText("x"),
		"- !mine a":                       `s.yaml:1: [0]` + noText("a"),
		`- ""`:                            `s.yaml:1: [0]: ""` + noID,
		"- a\n\n- b c":                    `s.yaml:3: [1]: "b c"` + noID,
		`- "a\n"`:                         `s.yaml:1: [0]: "a\n"` + noID,
		"- größe":                         `s.yaml:1: [0]: "größe"` + noID,
		"- " + strings.Repeat("x", 65):    `s.yaml:1: [0]: "` + strings.Repeat("x", 65) + `"` + noID,
		"- a\n- b\n- a":                   `s.yaml:3: [2]: "a" is there twice, first on line 1`,
		"- a\n---\n- b":                   `s.yaml:3: a second document begins here; one file is one document`,
		"- a\n---\n- [":                   `s.yaml: not YAML: line 3: did not find expected node content`,
		"- a\n- [":                        `s.yaml: not YAML: line 2: did not find expected node content`,
		"\x00\x00\x00\x00":                `s.yaml: not YAML: control characters are not allowed`,
		strings.Repeat(" ", maxFile+1):    `s.yaml: larger than 8388608 bytes`,
		strings.Repeat("- a\n", MaxIDs+1): `s.yaml:1: 65537 ids, at most 65536`,
	} {
		set, err := Parse("s.yaml", []byte(text))
		if !errors.Is(err, ErrFile) || err.Error() != ErrFile.Error()+": "+want || set.Len() != 0 {
			t.Errorf("%.40q: %v\n%v, want\n%s", text, set, err, want)
		}
	}
}

// manyIDs returns as many ids as can be off, of the greatest length.
func manyIDs() Set {
	set := Set{make(map[string]struct{}, MaxIDs)}
	for i := range MaxIDs {
		set.ids[fmt.Sprintf("%064d", i)] = struct{}{}
	}
	return set
}

func TestTheLargestFile(t *testing.T) {
	text := manyIDs().text()
	set, err := Parse("s.yaml", text)
	if err != nil || set.Len() != MaxIDs || len(text) > maxFile {
		t.Errorf("%d of %d ids, %d bytes, %v", set.Len(), MaxIDs, len(text), err)
	}
}

func TestOff(t *testing.T) {
	set, err := Parse("s.yaml", []byte(`["1", global]`))
	if err != nil {
		t.Fatal(err)
	}
	for route, want := range map[correlator.Route]bool{
		{Route: "1"}: true, {Route: "1", Service: "s", Consumer: "c"}: true, {Global: true}: true,
		{Route: "2"}: false, {Route: "2", Service: "1", Consumer: "1"}: false, {}: false,
	} {
		if got := set.Off(route); got != want {
			t.Errorf("%+v: off %v, want %v", route, got, want)
		}
	}
	if (Set{}).Off(correlator.Route{}) || (Set{}).Off(correlator.Route{Global: true}) {
		t.Error("something is off where nothing is")
	}
	if n := testing.AllocsPerRun(100, func() { set.Off(correlator.Route{Route: "1"}) }); n != 0 {
		t.Errorf("%v allocations a call, want none", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("- a\n- \"1\"\n"))
	f.Add([]byte(`["a"] # b`))
	f.Fuzz(func(t *testing.T, text []byte) {
		set, err := Parse("s.yaml", text)
		if err != nil {
			if set.Len() != 0 || !errors.Is(err, ErrFile) || len(err.Error()) > 1000 {
				t.Fatalf("%v and %v", set.IDs(), err)
			}
			return
		}
		again, err := Parse("s.yaml", set.text())
		if err != nil || !slices.Equal(again.IDs(), set.IDs()) {
			t.Fatalf("%v, written and read: %v, %v", set.IDs(), again.IDs(), err)
		}
		for _, id := range set.IDs() {
			if err := CheckID(id); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestMemoryOfFiles: a file within the size that is taken, made to cost as much as it can, is refused before it costs anything.
func TestMemoryOfFiles(t *testing.T) {
	for name, text := range map[string]string{
		"lines": strings.Repeat("-\n", maxFile/2), "list": "[" + strings.Repeat("a,", maxFile/2-1) + "]", "lists": strings.Repeat("- - - -\n", maxFile/8),
		"map": strings.Repeat("a:\n", maxFile/3), "deep": strings.Repeat("[", maxFile), "keys": strings.Repeat("? a\n", maxFile/4),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Parse("s.yaml", []byte(text))
		runtime.ReadMemStats(&after)
		allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
		t.Logf("%s: %d MiB allocated, %v", name, allocated, err)
		if !errors.Is(err, ErrFile) || allocated > 32 {
			t.Errorf("%s: %d MiB allocated, %v", name, allocated, err)
		}
	}
}
