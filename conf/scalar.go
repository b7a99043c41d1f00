package conf

import (
	"errors"
	"reflect"
	"regexp"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// The short tags of YAML's scalars (YAML 1.2.2, chapter 10), as far as they are told apart here.
const (
	tagText  = "!!str"
	tagInt   = "!!int"
	tagFloat = "!!float"
	tagBool  = "!!bool"
	tagNull  = "!!null"
)

// scalar reads one value without converting it: a number is no text, text is no number.
func (d *decoder) scalar(key string, n *yaml.Node, v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d.duration(key, n, v)
		return
	}
	switch v.Kind() {
	case reflect.String:
		if !is(n, tagText) {
			d.wrong(key, n, "text, in quotes if it looks like anything else: "+short(n.Value))
			return
		}
		v.SetString(n.Value)
	case reflect.Bool:
		if !is(n, tagBool) || n.Value != "true" && n.Value != "false" {
			d.wrong(key, n, "true or false")
			return
		}
		v.SetBool(n.Value == "true")
	case reflect.Int, reflect.Int64:
		d.integer(key, n, v.Type().Bits(), true, func(i int64) { v.SetInt(i) })
	case reflect.Uint32:
		d.integer(key, n, v.Type().Bits(), false, func(i int64) { v.SetUint(uint64(i)) }) //nolint:gosec // in range
	case reflect.Float64:
		d.fraction(key, n, v)
	default:
		panic("conf: a setting of type " + v.Type().String()) // a test reads every key
	}
}

// integer reads a whole number in plain decimal digits: what 010 or 1e3 means is a matter of YAML's version.
func (d *decoder) integer(key string, n *yaml.Node, bits int, signed bool, set func(int64)) {
	if !is(n, tagInt) && !is(n, tagFloat) {
		d.wrong(key, n, "a whole number, like 65536")
		return
	}
	i, err := strconv.ParseInt(n.Value, 10, 64)
	if err == nil && strconv.FormatInt(i, 10) != n.Value || errors.Is(err, strconv.ErrSyntax) {
		d.wrong(key, n, "a whole number in decimal digits, like 65536")
		return
	}
	low, high := -1<<(bits-1), 1<<(bits-1)-1
	if !signed {
		low, high = 0, 1<<bits-1
	}
	if err != nil || i < int64(low) || i > int64(high) {
		d.unread[key] = true
		d.add(n.Line, key, "%s is not in %d..%d", brief(n.Value), low, high)
		return
	}
	set(i)
}

var decimal = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.[0-9]+)?$`)

// fraction reads a number in plain decimal notation, which is never below 0.
func (d *decoder) fraction(key string, n *yaml.Node, v reflect.Value) {
	const want = "a decimal number, like 0.25"
	if !is(n, tagInt) && !is(n, tagFloat) || len(n.Value) > maxShown || !decimal.MatchString(n.Value) {
		d.wrong(key, n, want)
		return
	}
	f, err := strconv.ParseFloat(n.Value, 64)
	if err != nil {
		d.wrong(key, n, want)
		return
	}
	v.SetFloat(f)
}

// duration reads a number with its unit, as time.ParseDuration has them.
func (d *decoder) duration(key string, n *yaml.Node, v reflect.Value) {
	const want = "a duration with its unit, like 5s"
	if !is(n, tagText) {
		d.wrong(key, n, want)
		return
	}
	t, err := time.ParseDuration(n.Value)
	if err != nil {
		d.wrong(key, n, want)
		return
	}
	v.SetInt(int64(t))
}

// wrong reports a node that is not what its key wants.
func (d *decoder) wrong(key string, n *yaml.Node, want string) {
	d.unread[key] = true
	d.add(n.Line, key, "%s, want %s", describe(n), want)
}

// describe returns what a node is, with its value where it has one.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "the alias *" + brief(n.Value)
	default: // a scalar
	}
	switch n.ShortTag() {
	case tagText:
		return short(n.Value) + " is text"
	case tagInt, tagFloat:
		return brief(n.Value) + " is a number"
	case tagBool:
		return brief(n.Value) + " is a truth value"
	case tagNull:
		return "nothing is given"
	}
	return short(n.Value) + " has the type " + brief(n.ShortTag())
}

func is(n *yaml.Node, tag string) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == tag }

func isNull(n *yaml.Node) bool { return is(n, tagNull) }

// maxShown is how much of a wrong value is repeated in its message, in bytes.
const maxShown = 64

// short returns a text in quotes, on one line and cut to what a message can bear.
func short(s string) string {
	if len(s) > maxShown {
		return strconv.Quote(s[:maxShown]) + "..."
	}
	return strconv.Quote(s)
}

// brief is short for what needs no quotes if it is what it should be.
func brief(s string) string {
	if plainKey.MatchString(s) && len(s) <= maxShown {
		return s
	}
	return short(s)
}
