package simulated

import (
	"net/http"
	"net/netip"
	"strconv"

	pkghttp "github.com/apache/apisix-go-plugin-runner/pkg/http"

	"fivetuple/correlator"
	"fivetuple/plugins"
)

// guard asks packet-guard, as the gateway would.
type guard struct {
	plugin  *plugins.PacketGuard
	conf    any
	request request
	writer  writer
	refused int
}

func newGuard(d plugins.Deps) (*guard, error) {
	g := &guard{plugin: plugins.NewPacketGuard(d)}
	conf, err := g.plugin.ParseConf([]byte(`{"mode":"enforce"}`))
	if err != nil {
		return nil, err
	}
	g.conf = conf
	return g, nil
}

// refuses runs the plugin on a call.
func (g *guard) refuses(c *conn, a *call) bool {
	g.request.set(c, a)
	g.writer.status = 0
	g.plugin.RequestFilter(g.conf, &g.writer, &g.request)
	if g.writer.status == 0 {
		return false
	}
	g.refused++
	return true
}

// writer notes the answer that a plugin gives in the upstream's place.
type writer struct {
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (w *writer) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}

// Write implements http.ResponseWriter.
func (*writer) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader implements http.ResponseWriter.
func (w *writer) WriteHeader(status int) { w.status = status }

// request is a call as the server gives it to a plugin: what packet-guard has no business with is not there.
type request struct {
	pkghttp.Request
	route, method string
	header        header
}

// header are the request's fields that the plugin looks at.
type header struct{ tuple, length string }

func (r *request) set(c *conn, a *call) {
	r.route, r.method = a.route, a.method
	local, remote := c.key.LocalAddr(), c.key.RemoteAddr()
	text := make([]byte, 0, 96)
	for _, end := range [...]netip.AddrPort{remote, local} {
		text = append(end.Addr().AppendTo(text), ' ')
		text = append(strconv.AppendUint(text, uint64(end.Port()), 10), ' ')
	}
	text = append(strconv.AppendUint(text, c.serial, 10), ' ')
	text = append(strconv.AppendUint(text, c.requests, 10), ' ')
	text = strconv.AppendUint(text, uint64(a.head), 10)
	r.header = header{tuple: string(text)}
	if a.body > 0 {
		r.header.length = strconv.Itoa(a.body)
	}
}

// Method implements pkghttp.Request.
func (r *request) Method() string { return r.method }

// Path implements pkghttp.Request.
func (*request) Path() []byte { return []byte("/") }

// Header implements pkghttp.Request.
func (r *request) Header() pkghttp.Header { return &r.header }

// Var implements pkghttp.Request.
func (*request) Var(string) ([]byte, error) { return nil, nil }

// Route says whose configuration runs.
func (r *request) Route() correlator.Route { return correlator.Route{Route: r.route} }

// Get implements pkghttp.Header.
func (h *header) Get(name string) string {
	switch name {
	case correlator.TupleHeaderName:
		return h.tuple
	case "Content-Length":
		return h.length
	}
	return ""
}

// Set implements pkghttp.Header.
func (*header) Set(string, string) {}

// Del implements pkghttp.Header.
func (*header) Del(string) {}

// View implements pkghttp.Header.
func (h *header) View() http.Header { return http.Header{correlator.TupleHeaderName: {h.tuple}} }

// All lets the fields be walked without a copy.
func (h *header) All(yield func(name, value []byte) bool) {
	yield([]byte(correlator.TupleHeaderName), []byte(h.tuple))
}

var _ pkghttp.Request = (*request)(nil)
