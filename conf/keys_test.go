package conf

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// TestEveryKeyIsShippedOnce holds fivetuple.yaml against Config: the same keys in the same order, each with a value
// and with exactly one line of comment above it.
func TestEveryKeyIsShippedOnce(t *testing.T) {
	var doc yaml.Node
	if err := yaml.Unmarshal(DefaultFile(), &doc); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(DefaultFile()), "\n")
	var got []string
	walk(doc.Content[0], "", func(key string, line int) {
		got = append(got, key)
		if n := commentsAbove(lines, line-1); n != 1 {
			t.Errorf("fivetuple.yaml:%d: %s: %d lines of comment above it, want 1", line, key, n)
		}
	})
	want := keysOf("", reflect.TypeFor[Config]())
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("keys of Config (-) and of fivetuple.yaml (+):\n%s", d)
	}
}

// TestCommentsStandAlone finds comments that belong to no key: behind a value, or below the last key.
func TestCommentsStandAlone(t *testing.T) {
	header := true
	for i, line := range strings.Split(strings.TrimSpace(string(DefaultFile())), "\n") {
		comment := strings.HasPrefix(strings.TrimSpace(line), "#")
		header = header && comment
		if !header && !comment && strings.Contains(line, " #") {
			t.Errorf("fivetuple.yaml:%d: a comment behind a value", i+1)
		}
	}
}

func commentsAbove(lines []string, i int) int {
	n := 0
	for i--; i >= 0 && strings.HasPrefix(strings.TrimSpace(lines[i]), "#"); i-- {
		n++
	}
	return n
}

func walk(n *yaml.Node, path string, each func(key string, line int)) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		key := join2(path, k.Value)
		each(key, k.Line)
		if v.Kind == yaml.MappingNode {
			walk(v, key, each)
		}
	}
}

// keysOf returns the dotted keys of a settings type, sections before what is in them.
func keysOf(path string, t reflect.Type) []string {
	var keys []string
	for f := range t.Fields() {
		name := f.Tag.Get(tag)
		if name == "" {
			panic(fmt.Sprintf("%v.%s has no key", t, f.Name))
		}
		key := join2(path, name)
		keys = append(keys, key)
		if f.Type.Kind() == reflect.Struct {
			keys = append(keys, keysOf(key, f.Type)...)
		}
	}
	return keys
}
