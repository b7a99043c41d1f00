package plugins

import (
	pkghttp "github.com/apache/apisix-go-plugin-runner/pkg/http"

	"fivetuple/correlator"
)

// remover deletes headers that came and that nobody but us may send. It is used again for other calls.
type remover struct {
	header pkghttp.Header
	owned  func(name []byte) bool
	seen   func(name, value []byte) bool // takes a header that came; made once
}

// init says which names are a plugin's. The tuple's header is every plugin's.
func (m *remover) init(owned func(name []byte) bool) {
	m.owned = owned
	m.seen = func(name, _ []byte) bool {
		switch {
		case equal(name, correlator.TupleHeaderName): // is deleted anyway, and no text is made of it
		case equal(name, guardHeader) && isSet(m.header, string(name)): // by packet-guard, before this plugin
		case m.owned(name):
			m.header.Del(string(name))
		}
		return true
	}
}

// remove deletes them, in any spelling. The tuple's header is deleted also where it did not come: the gateway sends the first 100
// headers only, and its own may be behind them.
func (m *remover) remove(header pkghttp.Header) {
	m.header = header
	defer func() { m.header = nil }()
	header.Del(correlator.TupleHeaderName)
	if all, ok := header.(allHeaders); ok {
		all.All(m.seen)
		return
	}
	for name := range header.View() {
		m.seen([]byte(name), nil)
	}
}

// isSet says whether a plugin has set a header, where the server tells.
func isSet(header pkghttp.Header, name string) bool {
	h, ok := header.(interface{ IsSet(name string) bool })
	return ok && h.IsSet(name)
}
