package conf

import (
	"reflect"
	"strings"
	"testing"
)

// FuzzParse holds, for any text: an error if and only if the Config is zero; what is taken is in range; the same
// text gives the same answer; and each problem is one line that begins with the file's name.
func FuzzParse(f *testing.F) {
	f.Add(string(DefaultFile()))
	for _, s := range []string{
		"", "~", "- a", "log: {level: warn}", "log: {level: 1, level: 2}", "a: &a [*a]", "? {}\n: 1", "---\n---\n",
		"agent: {tables: {flows: 0x10}}", "agent: {sweep: {every: !!str 5}}", "log: !!bool", "agent: {pins: {mode: 0440}}",
		"\"a\\nb\": \"c\\nd\"", "log: {level: \"a\\nb\"}", "log: !!binary aGk=", "agent: {interfaces: [~, [], {}]}", "%YAML 1.1\n---\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("x.yaml", []byte(text))
		if (err != nil) != reflect.ValueOf(c).IsZero() {
			t.Fatalf("settings %+v and error %v", c, err)
		}
		again, err2 := Parse("x.yaml", []byte(text))
		if !reflect.DeepEqual(c, again) || (err == nil) != (err2 == nil) || err != nil && err.Error() != err2.Error() {
			t.Fatalf("two answers: %+v, %v and %+v, %v", c, err, again, err2)
		}
		if err == nil {
			if err := c.Validate(); err != nil {
				t.Fatalf("taken, but %v", err)
			}
			return
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if !strings.HasPrefix(line, "x.yaml:") {
				t.Fatalf("a problem of two lines: %q", err)
			}
		}
	})
}

// FuzzParseAPISIXRoutes holds: an error if and only if there are no routes.
func FuzzParseAPISIXRoutes(f *testing.F) {
	f.Add(string(APISIXRoutesFile()))
	f.Add("routes:\n  - id: a\n    uri: /\n    upstream: {type: roundrobin, nodes: {\"a:1\": 1}}\n#END")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := ParseAPISIXRoutes("x.yaml", []byte(text))
		if (err != nil) != (file.Routes == nil) || (err != nil) != (file.GlobalRules == nil) {
			t.Fatalf("the file %+v and error %v", file, err)
		}
	})
}
