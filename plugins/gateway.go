package plugins

import (
	"strconv"

	pkghttp "github.com/apache/apisix-go-plugin-runner/pkg/http"

	"fivetuple/correlator"
)

// maxGatewayHeaders is how many request headers APISIX sends to a runner; the others stay unseen.
const maxGatewayHeaders = 100

// gateway asks APISIX about the request at hand.
type gateway struct {
	r        pkghttp.Request
	counters *Counters
}

// severalVars is a request that asks for several variables in one round trip: our own server's, not the library's.
type severalVars interface {
	Vars(names ...string) ([][]byte, error)
}

// Header implements correlator.Gateway.
func (g *gateway) Header(name string) string { return g.r.Header().Get(name) }

// Var implements correlator.Gateway.
func (g *gateway) Var(name string) string {
	value, err := g.r.Var(name)
	if err != nil { // the connection to the gateway is broken: the call ends there
		g.counters.VariableErrors.Add(1)
		return ""
	}
	return string(value)
}

// Vars implements correlator.Gateway. Where they are asked one by one, the first without a value is the last.
func (g *gateway) Vars(names []string) []string {
	texts := make([]string, 0, len(names))
	several, ok := g.r.(severalVars)
	if !ok {
		for _, name := range names {
			text := g.Var(name)
			if text == "" {
				break
			}
			texts = append(texts, text)
		}
		return texts
	}
	values, err := several.Vars(names...)
	if err != nil { // as in Var
		g.counters.VariableErrors.Add(1)
		return nil
	}
	for _, value := range values {
		texts = append(texts, string(value))
	}
	return texts
}

// isHTTP2 says whether the request came over HTTP/2: nginx's $http2 is "h2", "h2c" or empty.
func (g *gateway) isHTTP2() bool { return g.Var("http2") != "" }

// body returns the declared length of the request's body; chunked if there is none that can be trusted.
func (g *gateway) body() (length uint64, chunked bool) {
	header := g.r.Header()
	if header.Get("Transfer-Encoding") != "" {
		return 0, true
	}
	text := header.Get("Content-Length")
	if text == "" {
		return 0, false
	}
	length, err := strconv.ParseUint(text, 10, 63)
	return length, err != nil
}

func (g *gateway) countHeaders() int {
	n := 0
	header := g.r.Header()
	if all, ok := header.(allHeaders); ok {
		all.All(func([]byte, []byte) bool {
			n++
			return true
		})
		return n
	}
	for _, values := range header.View() {
		n += len(values)
	}
	return n
}

// allHeaders is a header that can be walked without a copy: our own server's, not the library's.
type allHeaders interface {
	All(yield func(name, value []byte) bool)
}

var _ correlator.Gateway = (*gateway)(nil)
