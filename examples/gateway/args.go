package gateway

import "strings"

// argList is the arguments of a query as ngx.req.get_uri_args has them: by name, the values of a repeated
// name together and in order. Lua walks the names in no order; here it is that of first appearance.
type argList struct {
	names  []string
	values map[string][]entry
}

// parseArgs reads a raw query. ?a has no value, ?a= an empty one; an argument without a name is dropped.
func parseArgs(query string) *argList {
	args := &argList{values: make(map[string][]entry)}
	for part := range strings.SplitSeq(query, "&") {
		name, value, hasValue := strings.Cut(part, "=")
		name, _ = percentDecode(name, true)
		value, _ = percentDecode(value, true)
		if name != "" {
			args.add(entry{name: name, value: value, hasValue: hasValue})
		}
	}
	return args
}

func (a *argList) add(e entry) {
	if _, known := a.values[e.name]; !known {
		a.names = append(a.names, e.name)
	}
	a.values[e.name] = append(a.values[e.name], e)
}

func (a *argList) entries() []entry {
	var all []entry
	for _, name := range a.names {
		all = append(all, a.values[name]...)
	}
	return all
}

// change applies the arguments of a rewrite: without a value a name goes; the first value of a name
// replaces what was there, further ones are added.
func (a *argList) change(entries []entry) {
	changed := make(map[string]bool)
	for _, e := range entries {
		switch {
		case !e.hasValue:
			a.values[e.name] = nil
		case changed[e.name]:
			a.add(e)
		default:
			if _, known := a.values[e.name]; known {
				a.values[e.name] = nil
			}
			a.add(e)
			changed[e.name] = true
		}
	}
}

// encode returns the raw query.
func (a *argList) encode() string {
	parts := make([]string, 0, len(a.names))
	for _, e := range a.entries() {
		part := escapeArg(e.name)
		if e.hasValue {
			part += "=" + escapeArg(e.value)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "&")
}
