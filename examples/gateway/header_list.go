package gateway

import (
	"net/http"
	"net/textproto"
	"strings"
)

// header is one header line, with its name as it was written.
type header struct{ name, value string }

// headerList is the header lines of a message in order. nginx keeps them so, and a runner sees the order
// of repeated names and which lines were the first hundred; http.Header keeps neither.
type headerList []header

// get returns the first value of name, in any case.
func (l headerList) get(name string) (string, bool) {
	for _, h := range l {
		if strings.EqualFold(h.name, name) {
			return h.value, true
		}
	}
	return "", false
}

// count is how many lines carry name.
func (l headerList) count(name string) int {
	n := 0
	for _, h := range l {
		if strings.EqualFold(h.name, name) {
			n++
		}
	}
	return n
}

// set gives name this one value: in the place of its first line, else at the end. An empty value
// removes it, as in ngx_headers_more.
func (l headerList) set(name, value string) headerList {
	if value == "" {
		return l.remove(func(n string) bool { return strings.EqualFold(n, name) })
	}
	kept := make(headerList, 0, len(l)+1)
	found := false
	for _, h := range l {
		switch {
		case !strings.EqualFold(h.name, name):
			kept = append(kept, h)
		case !found:
			kept = append(kept, header{name, value})
			found = true
		}
	}
	if !found {
		kept = append(kept, header{name, value})
	}
	return kept
}

// remove returns the lines whose name does not match.
func (l headerList) remove(match func(name string) bool) headerList {
	kept := make(headerList, 0, len(l))
	for _, h := range l {
		if !match(h.name) {
			kept = append(kept, h)
		}
	}
	return kept
}

// httpHeader returns the lines with canonical names.
func (l headerList) httpHeader() http.Header {
	out := make(http.Header, len(l))
	for _, h := range l {
		key := textproto.CanonicalMIMEHeaderKey(h.name)
		out[key] = append(out[key], h.value)
	}
	return out
}
