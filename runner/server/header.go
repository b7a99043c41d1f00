package server

import (
	"net/http"
	"net/textproto"

	pkghttp "github.com/apache/apisix-go-plugin-runner/pkg/http"
)

// header is a message's header fields as a plugin sees and changes them. Reading changes nothing: only what was set or
// deleted, or changed in the view, is told to the gateway.
type header struct {
	raw     []entry // as they came: lower case, repeated ones in order
	view    http.Header
	changed []change
}

// change is what a plugin did to a field.
type change struct {
	name    string // canonical
	value   string
	deleted bool
}

// reset forgets a message, and keeps the room that it took.
func (h *header) reset() {
	h.raw, h.changed, h.view = reuse(h.raw, keepEntries), reuse(h.changed, keepEntries), nil
}

// Set implements pkghttp.Header.
func (h *header) Set(key, value string) {
	h.change(change{name: textproto.CanonicalMIMEHeaderKey(key), value: value})
	if h.view != nil {
		h.view.Set(key, value)
	}
}

// Del implements pkghttp.Header. A field that did not come is deleted, too: the gateway sends only the first 100.
func (h *header) Del(key string) {
	h.change(change{name: textproto.CanonicalMIMEHeaderKey(key), deleted: true})
	if h.view != nil {
		h.view.Del(key)
	}
}

func (h *header) change(c change) {
	for i := range h.changed {
		if h.changed[i].name == c.name {
			h.changed[i] = c
			return
		}
	}
	h.changed = append(h.changed, c)
}

// Get implements pkghttp.Header.
func (h *header) Get(key string) string {
	if h.view != nil {
		return h.view.Get(key)
	}
	for i := range h.changed {
		if equalFold(h.changed[i].name, key) {
			return h.changed[i].value
		}
	}
	for i := range h.raw {
		if equalFold(h.raw[i].name, key) {
			return string(h.raw[i].value)
		}
	}
	return ""
}

// View implements pkghttp.Header. Each call returns the same map; what is changed in it is told to the gateway, as the
// library does in spite of its comment.
func (h *header) View() http.Header {
	if h.view == nil {
		h.view = h.original()
		for _, c := range h.changed {
			if h.view.Del(c.name); !c.deleted {
				h.view[c.name] = []string{c.value}
			}
		}
	}
	return h.view
}

// IsSet says whether a plugin has set a field.
func (h *header) IsSet(name string) bool {
	for i := range h.changed {
		if equalFold(h.changed[i].name, name) {
			return !h.changed[i].deleted
		}
	}
	return false
}

// original returns the fields as they came.
func (h *header) original() http.Header {
	all := make(http.Header, len(h.raw))
	for _, e := range h.raw {
		all.Add(string(e.name), string(e.value))
	}
	return all
}

// All calls a function for each field as it came, until it returns false. Names and values lie in the frame: they must
// not be kept. A plugin that knows this server reads so without a copy.
func (h *header) All(yield func(name, value []byte) bool) {
	for _, e := range h.raw {
		if !yield(e.name, e.value) {
			return
		}
	}
}

// equalFold compares field names, which are ASCII.
func equalFold[A, B string | []byte](a A, b B) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

var _ pkghttp.Header = (*header)(nil)
