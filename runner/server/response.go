package server

import (
	pkghttp "github.com/apache/apisix-go-plugin-runner/pkg/http"

	"fivetuple/correlator"
)

// response is the upstream's response as plugins see and change it.
type response struct {
	id, token uint32
	status    int
	header    header
	left      int // entries that were not read: there are more than maxEntries

	session *session
	route   correlator.Route

	marked    bool // the answer has all headers
	newStatus int
	newBody   []byte
	wrote     bool
	vars      []variable
	body      []byte
	bodyAsked bool
}

func (r *response) reset() {
	clear(r.vars)
	r.header.reset()
	*r = response{header: r.header, newBody: reuse(r.newBody, keepBuffer), vars: r.vars[:0], session: r.session}
}

// ID implements pkghttp.Response.
func (r *response) ID() uint32 { return r.id }

// StatusCode implements pkghttp.Response.
func (r *response) StatusCode() int {
	if r.newStatus != 0 {
		return r.newStatus
	}
	return r.status
}

// Header implements pkghttp.Response.
func (r *response) Header() pkghttp.Header { return &r.header }

// Var implements pkghttp.Response.
func (r *response) Var(name string) ([]byte, error) { return r.session.variable(&r.vars, name) }

// ReadBody implements pkghttp.Response.
func (r *response) ReadBody() ([]byte, error) {
	if !r.bodyAsked {
		body, err := r.session.askBody(responseBody)
		if err != nil {
			return nil, err
		}
		r.body, r.bodyAsked = body, true
	}
	return r.body, nil
}

// Write implements pkghttp.Response.
func (r *response) Write(b []byte) (int, error) {
	r.wrote = true
	r.newBody = append(r.newBody, b...)
	return len(b), nil
}

// WriteHeader implements pkghttp.Response; the first status counts.
func (r *response) WriteHeader(status int) {
	if r.newStatus == 0 {
		r.newStatus = status
	}
}

// mark puts a wrong configuration on the response. The gateway drops the upstream's headers as soon as the runner answers with
// one of its own: the answer then has all of them.
func (r *response) mark() {
	r.header.Set(markName, markValue)
	r.marked = true
}

// isGatewaysOwn reports whether APISIX leaves a header of the upstream's response out under ext-plugin-post-resp, unless the
// runner sends one.
func isGatewaysOwn(name string) bool {
	switch name {
	case "Connection", "Content-Length", "Transfer-Encoding", "Location", "Server", "Www-Authenticate",
		"Content-Encoding", "Content-Type", "Content-Location", "Content-Language":
		return true
	default:
		return false
	}
}

// Route says whose configuration runs.
func (r *response) Route() correlator.Route { return r.route }

var _ pkghttp.Response = (*response)(nil)
