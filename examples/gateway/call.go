package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
)

// call is one request on its way through the gateway's phases.
type call struct {
	gateway *Gateway
	request *request
	id      string         // $request_id: 32 hexadecimal digits
	client  netip.AddrPort // $remote_addr and port: after real-ip
	route   *route         // nil: none matched

	uri   string // $uri: decoded, normalized
	query string // raw, as the plugins left it
	// upstreamPath is the path a plugin set, escaped; empty: the request's own.
	upstreamPath string
	rewritten    bool // a plugin changed the arguments, so the target is not the client's any more
	upstreamHost string

	headers  headerList // the request's, as snippets and plugins left them
	response headerList // what plugins add to the answer
	stopBody []byte     // an answer that the runner or a plugin gave
	origin   *fetched   // the upstream's answer, which ext-plugin-post-resp shows the runner

	// mapped are the map variables that were asked for: nginx works each out once a request.
	mapped map[string]string

	body          io.Reader // toward the upstream; nil: none
	contentLength int64
	upstream      string // host:port asked
}

// handle takes a request through all phases and answers it. An error means that the client did not get
// the whole answer.
func (g *Gateway) handle(ctx context.Context, r *request, w answerer) error {
	c := &call{
		gateway: g, request: r, id: newRequestID(), client: r.conn.peer,
		headers: r.headers, body: r.body, contentLength: r.contentLength,
	}
	status := c.prepareRequest()
	if status == 0 {
		status = c.runPhases()
	}
	if status == 0 {
		status = c.runBeforeProxy()
	}
	var err error
	if status == 0 {
		status, err = c.proxy(ctx, w)
	} else {
		err = w.answer(c.localAnswer(status))
	}
	c.runGlobal(phaseHeaderFilter) // what a function can change here is what the log phase sees
	c.logHTTP(g.calls, status)
	c.logAccess(status)
	return err
}

// newRequestID is nginx's $request_id: 16 random bytes.
func newRequestID() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand
	return hex.EncodeToString(random[:])
}

// prepareRequest does what nginx does before APISIX's Lua runs: real-ip, the URI, the snippets and the
// X-Forwarded headers, which follow the snippet. It returns the status to answer with, 0 to go on.
func (c *call) prepareRequest() int {
	if client, ok := realIP(c.request.conn.peer, c.headers); ok {
		c.client = client
	}
	target, ok := pathOf(c.request.target)
	if !ok {
		return http.StatusBadRequest
	}
	path, query, _ := strings.Cut(target, "?")
	c.query, _, _ = strings.Cut(query, "#")
	uri, err := normalizePath(path)
	if err != nil {
		return http.StatusBadRequest
	}
	c.uri = uri
	c.upstreamHost = c.hostHeader()
	c.headers = c.gateway.snippets.applyInput(c.headers, c.variable)
	host := c.hostHeader()
	if host == "" {
		host = c.host()
	}
	c.headers = c.headers.set("X-Forwarded-Proto", c.request.scheme()).
		set("X-Forwarded-Host", host).
		set("X-Forwarded-Port", c.forwardedPort()).
		set("Forwarded", "")
	return 0
}

// runPhases finds the route and runs the plugins of APISIX's rewrite and access phases: in each, those of the global rules
// before those of the route, these by priority. It returns the status to answer with, 0 to go on.
func (c *call) runPhases() int {
	c.route = match(c.gateway.routes, c.uri, c.request.method)
	c.runGlobal(phaseRewrite)
	if c.route == nil {
		c.runGlobal(phaseAccess)
		return http.StatusNotFound
	}
	c.delay(true)
	if status := c.runPlugin(phasePreReq, c.route.pre); status != 0 {
		return status
	}
	c.delay(false)
	c.runGlobal(phaseAccess)
	ctx := c.gateway.calls // not the request's: APISIX goes on when the client has gone
	if status := c.forwardAuth(ctx); status != 0 {
		return status
	}
	if status := c.azureFunctions(ctx); status != 0 {
		return status
	}
	return c.runPlugin(phasePostReq, c.route.post)
}

// runBeforeProxy runs the plugins that send the call on themselves, in nginx's place. It returns the status to answer with,
// 0 to go on.
func (c *call) runBeforeProxy() int {
	switch ctx := c.gateway.calls; {
	case c.route.ai != nil:
		return c.aiProxy(ctx)
	case c.route.postResp != nil:
		return c.postResp(ctx)
	default:
		return 0
	}
}

func (c *call) worker() *worker { return c.request.conn.worker }

func (c *call) routeID() string {
	if c.route == nil {
		return ""
	}
	return c.route.id
}

func (c *call) args() *argList { return parseArgs(c.query) }

// pluginPath is the path in HTTPReqCall: what an earlier phase set, else $uri.
func (c *call) pluginPath() string {
	if c.upstreamPath != "" {
		return c.upstreamPath
	}
	return c.uri
}

// pluginHeaders is the headers in HTTPReqCall: the first hundred lines, lower case. Host is what the
// upstream will get.
func (c *call) pluginHeaders() []entry {
	lines := c.luaHeaders()
	entries := make([]entry, len(lines))
	for i, h := range lines {
		entries[i] = entry{name: h.name, value: h.value, hasValue: true}
		if entries[i].name == "host" {
			entries[i].value = c.upstreamHost
		}
	}
	return entries
}

func (c *call) hostHeader() string {
	host, _ := c.headers.get("Host")
	return host
}

// host is $host: the Host header in lower case without its port, else the server's name.
func (c *call) host() string {
	host := strings.ToLower(c.hostHeader())
	if at := strings.LastIndexByte(host, ':'); at > strings.LastIndexByte(host, ']') {
		host = host[:at]
	}
	if host == "" {
		return "_" // APISIX's server_name
	}
	return host
}

// forwardedPort is the port that the Host header names, else the socket's.
func (c *call) forwardedPort() string {
	host := c.hostHeader()
	if at := strings.LastIndexByte(host, ':'); at >= 0 && at+1 < len(host) && strings.Trim(host[at+1:], "0123456789") == "" {
		return host[at+1:]
	}
	return fmt.Sprint(c.request.conn.local.Port())
}

// Errors of reading the request's body for the runner.
var (
	errClientBody = errors.New("read request body")
	errBodySize   = errors.New("request body does not fit a frame")
)

// readBody reads the whole body into memory for the runner, and keeps it for the upstream. It is nil when
// there is none. A body above what fits a frame fails the call, as it does in APISIX.
func (c *call) readBody() ([]byte, error) {
	if c.body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(c.body, maxFramePayload))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errClientBody, err)
	}
	if len(body) == maxFramePayload {
		c.body = io.MultiReader(bytes.NewReader(body), c.body)
		return nil, errBodySize
	}
	if len(body) == 0 {
		return nil, nil
	}
	c.body, c.contentLength = bytes.NewReader(body), int64(len(body))
	return body, nil
}

func (c *call) logAccess(status int) {
	if c.gateway.accessLog == nil {
		return
	}
	r := c.request
	c.gateway.accessLog(Access{
		Method: r.method, Path: c.uri, Target: r.target, Proto: r.proto, Route: c.routeID(), Status: status,
		Header: c.forwarded().httpHeader(), RequestID: c.id,
		Connection: r.conn.number, ConnectionRequests: r.number,
		HeadLength: r.headLength, RequestLength: r.headLength + r.bodyLength(), Worker: c.worker().index,
		Peer: r.conn.peer, Client: c.client, Server: r.conn.local, Upstream: c.upstream,
		Start: r.start, End: c.gateway.now(),
	})
}

// statusClientClosed is nginx's 499: the client went away before it was answered.
const statusClientClosed = 499
