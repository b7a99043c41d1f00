package conf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// tag is the struct tag with a field's key; the option types of other packages carry it too.
const tag = "koanf"

// decoder fills Go values from one YAML file and remembers what is wrong with it, and where each key stands.
//
// It reads YAML's nodes and not their decoded values, because only these know lines, keys given twice, and whether
// 0440 was written as a number or as text.
type decoder struct {
	file     string
	lines    map[string]int
	unread   map[string]bool // keys whose value could not be taken: what Validate says of them says nothing
	problems []problem
}

// decode reads a text of one YAML document into the struct that to points to. Fields whose keys are not given, or
// are wrong, keep their values.
func decode(file string, text []byte, to any) *decoder {
	d := &decoder{file: file, lines: map[string]int{}, unread: map[string]bool{}}
	if len(text) > maxFile {
		d.add(0, "", "larger than %d bytes", maxFile)
		return d
	}
	in := yaml.NewDecoder(bytes.NewReader(text))
	root, ok := d.document(in)
	if !ok {
		return d
	}
	d.structure("", root, reflect.ValueOf(to).Elem())
	if next, ok := d.document(in); ok {
		d.add(next.Line, "", "a second document begins here; one file is one document")
	}
	return d
}

// document returns the top node of the next document; false at the end of the file, or where it is not YAML.
func (d *decoder) document(in *yaml.Decoder) (*yaml.Node, bool) {
	var doc yaml.Node
	err := in.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF):
		return nil, false
	case err != nil:
		d.syntax(err)
		return nil, false
	case len(doc.Content) == 0: // comments only
		return nil, false
	}
	return doc.Content[0], true
}

var syntaxLine = regexp.MustCompile(`(?s)^yaml: line (\d+): (.*)$`)

// syntax takes over an error of the YAML parser.
func (d *decoder) syntax(err error) {
	text := err.Error()
	line := 0
	if m := syntaxLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = m[2]
	}
	d.add(line, "", "not YAML: %s", strings.ReplaceAll(strings.TrimPrefix(text, "yaml: "), "\n", " "))
}

// check takes over the errors of a Validate, "KEY: TEXT" each, with the lines of their keys.
func (d *decoder) check(err error) {
	for _, e := range leaves(err) {
		key, text := splitKey(e.Error())
		if !d.unread[key] {
			d.add(d.lines[key], key, "%s", text)
		}
	}
}

// err returns everything that was wrong; nil if nothing was.
func (d *decoder) err() error { return join(d.problems) }

func (d *decoder) add(line int, key, format string, args ...any) {
	d.problems = append(d.problems, problem{d.file, line, key, fmt.Sprintf(format, args...)})
}

// value reads one node into v, whatever its kind.
func (d *decoder) value(key string, n *yaml.Node, v reflect.Value) {
	d.lines[key] = n.Line
	switch v.Kind() {
	case reflect.Struct:
		d.structure(key, n, v)
	case reflect.Slice:
		d.list(key, n, v)
	case reflect.Map:
		d.table(key, n, v)
	default:
		d.scalar(key, n, v)
	}
}

// structure reads a mapping whose keys are the fields' tags. A mapping of which nothing is left (null, as when all
// its keys are commented out) gives nothing.
func (d *decoder) structure(key string, n *yaml.Node, v reflect.Value) {
	fields := map[string]reflect.Value{}
	known := make([]string, 0, v.NumField())
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get(tag)
		fields[name] = v.Field(i)
		known = append(known, name)
	}
	slices.Sort(known)
	d.mapping(key, n, func(child, name string, k, item *yaml.Node) {
		field, ok := fields[name]
		if !ok {
			d.add(k.Line, child, "unknown key, known here: %s", strings.Join(known, ", "))
			return
		}
		d.value(child, item, field)
	})
}

// table reads a mapping with free keys.
func (d *decoder) table(key string, n *yaml.Node, v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	d.mapping(key, n, func(child, name string, _, item *yaml.Node) {
		one := reflect.New(v.Type().Elem()).Elem()
		d.value(child, item, one)
		v.SetMapIndex(reflect.ValueOf(name), one)
	})
}

// mapping calls each for every key of a mapping that is given for the first time.
func (d *decoder) mapping(key string, n *yaml.Node, each func(child, name string, k, item *yaml.Node)) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.wrong(key, n, "keys and values")
		return
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, item := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode {
			d.add(k.Line, key, "a key has to be a name")
			continue
		}
		child := join2(key, k.Value)
		if line, ok := first[k.Value]; ok {
			d.add(k.Line, child, "given twice, first on line %d", line)
			continue
		}
		first[k.Value] = k.Line
		each(child, k.Value, k, item)
	}
}

// list reads a sequence; it takes the place of the whole list that was there.
func (d *decoder) list(key string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.wrong(key, n, "a list, like [a, b]")
		return
	}
	all := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.value(key+"["+strconv.Itoa(i)+"]", item, all.Index(i))
	}
	v.Set(all)
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_.:+-]+$`)

// join2 returns the path of a key below another; what is not a plain name is quoted.
func join2(path, name string) string {
	if !plainKey.MatchString(name) {
		name = short(name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}
