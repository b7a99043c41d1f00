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
	r pkghttp.Request
}

// Header implements correlator.Gateway.
func (g gateway) Header(name string) string { return g.r.Header().Get(name) }

// Var implements correlator.Gateway.
func (g gateway) Var(name string) string {
	value, err := g.r.Var(name)
	if err != nil { // the connection to the gateway is broken: the call ends there
		return ""
	}
	return string(value)
}

// isHTTP2 says whether the request came over HTTP/2: nginx's $http2 is "h2", "h2c" or empty.
func (g gateway) isHTTP2() bool { return g.Var("http2") != "" }

// body returns the declared length of the request's body; chunked if there is none that can be trusted.
func (g gateway) body() (length uint64, chunked bool) {
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

func (g gateway) countHeaders() int {
	n := 0
	for _, values := range g.r.Header().View() {
		n += len(values)
	}
	return n
}

var _ correlator.Gateway = gateway{}
