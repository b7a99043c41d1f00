package server

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/api7/ext-plugin-proto/go/A6"

	pkghttp "github.com/apache/apisix-go-plugin-runner/pkg/http"

	"fivetuple/correlator"
)

// pluginTime is how long a plugin's context lasts. APISIX gives up after 60 seconds, so that a plugin that heeds its
// context can still answer itself.
const pluginTime = 56 * time.Second

// request is a call as plugins see it: a pkghttp.Request with what the library's lacks (SetBody, Vars, Route, Found). It is used
// again for the connection's next call: a plugin keeps nothing of it.
type request struct {
	id, token uint32
	method    A6.Method
	srcIP     []byte
	path      []byte
	rawArgs   []entry
	header    header
	left      int // entries that were not read: there are more than maxEntries

	session *session
	route   correlator.Route
	found   correlator.Found
	started time.Time

	newPath    []byte
	args       url.Values
	respHeader http.Header
	vars       []variable
	body       []byte
	bodyAsked  bool
	newBody    []byte
	bodySet    bool
	ctx        context.Context
	cancel     context.CancelFunc
}

// reset forgets a call, and keeps the room that it took.
func (r *request) reset() {
	if r.cancel != nil {
		r.cancel()
	}
	clear(r.vars)
	r.header.reset()
	*r = request{header: r.header, rawArgs: reuse(r.rawArgs, keepEntries), vars: r.vars[:0], session: r.session}
}

// ID implements pkghttp.Request.
func (r *request) ID() uint32 { return r.id }

// SrcIP implements pkghttp.Request.
func (r *request) SrcIP() net.IP { return r.srcIP }

// Method implements pkghttp.Request.
func (r *request) Method() string { return r.method.String() }

// Path implements pkghttp.Request.
func (r *request) Path() []byte {
	if r.newPath != nil {
		return r.newPath
	}
	return r.path
}

// SetPath implements pkghttp.Request.
func (r *request) SetPath(path []byte) { r.newPath = path }

// Header implements pkghttp.Request.
func (r *request) Header() pkghttp.Header { return &r.header }

// Args implements pkghttp.Request.
func (r *request) Args() url.Values {
	if r.args == nil {
		r.args = r.originalArgs()
	}
	return r.args
}

func (r *request) originalArgs() url.Values {
	args := make(url.Values, len(r.rawArgs))
	for _, e := range r.rawArgs {
		args.Add(string(e.name), string(e.value))
	}
	return args
}

// Var implements pkghttp.Request.
func (r *request) Var(name string) ([]byte, error) { return r.session.variable(&r.vars, name) }

// Vars asks for several variables in one go: one round trip instead of one each. Their values are in the order of the
// names; one that is not set is nil.
func (r *request) Vars(names ...string) ([][]byte, error) {
	values, err := r.session.askVars(names)
	for i := range values {
		r.vars = append(r.vars, variable{names[i], values[i]})
	}
	return values, err
}

// Body implements pkghttp.Request.
func (r *request) Body() ([]byte, error) {
	if r.bodySet {
		return r.newBody, nil
	}
	if !r.bodyAsked {
		body, err := r.session.askBody(requestBody)
		if err != nil {
			return nil, err
		}
		r.body, r.bodyAsked = body, true
	}
	return r.body, nil
}

// SetBody replaces the request's body, which the protocol can and the library's interface cannot. It must not be changed
// until the filter returns.
func (r *request) SetBody(body []byte) { r.newBody, r.bodySet = body, true }

// RespHeader implements pkghttp.Request.
func (r *request) RespHeader() http.Header {
	if r.respHeader == nil {
		r.respHeader = make(http.Header)
	}
	return r.respHeader
}

// Context implements pkghttp.Request.
func (r *request) Context() context.Context {
	if r.ctx == nil {
		r.ctx, r.cancel = context.WithDeadline(context.Background(), r.started.Add(pluginTime))
	}
	return r.ctx
}

// Route says whose configuration runs.
func (r *request) Route() correlator.Route { return r.route }

// Found is what a plugin that ran before on this call found of it, and where one leaves it.
func (r *request) Found() *correlator.Found { return &r.found }

var _ pkghttp.Request = (*request)(nil)
