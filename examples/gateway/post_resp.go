package gateway

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// postResp is ext-plugin-post-resp: APISIX asks the upstream itself, on a new connection, with all request headers that Lua
// sees, and shows the runner the answer. It returns the status to answer with.
func (c *call) postResp(ctx context.Context) int {
	origin, status := c.fetchOrigin(ctx)
	if status != 0 {
		return status
	}
	c.origin = &origin
	var verdict respAction
	err := c.askRunner(runnerCall{
		phase: phasePostResp, options: c.route.postResp, kind: frameRespCall,
		encode: func(token uint32) ([]byte, error) {
			return encodeRespCall(respCall{
				id: c.worker().nextID(), token: token, status: origin.status, headers: headerEntries(origin.headers),
			}), nil
		},
		decode: func(payload []byte) (err error) {
			verdict, err = decodeRespAction(payload)
			return err
		},
	})
	if err != nil { // the answer goes out without the headers of the upstream's, as APISIX sends it
		c.gateway.log.Error().Err(err).Str("route", c.route.id).Msg("ext-plugin-post-resp: runner failed")
		c.stopBody = origin.body
		if c.route.postResp.degrade {
			return origin.status
		}
		return http.StatusServiceUnavailable
	}
	return c.applyResponse(origin, verdict)
}

// fetchOrigin gets the upstream's answer, or a status to answer with.
func (c *call) fetchOrigin(ctx context.Context) (fetched, int) {
	address, ok := c.route.nodes.next()
	if !ok {
		return fetched{}, http.StatusBadGateway
	}
	c.upstream = address
	body, err := c.readBody()
	if err != nil {
		return fetched{}, http.StatusBadGateway
	}
	origin, err := c.fetch(ctx, ownRequest{
		method: c.request.method, url: "http://" + address + c.upstreamTarget(), fresh: true, body: body,
		headers: c.luaHeaders().remove(notForwarded).set("host", c.upstreamHost),
	})
	if err != nil {
		c.gateway.log.Error().Err(err).Msg("ext-plugin-post-resp")
		return fetched{}, http.StatusBadGateway
	}
	return origin, 0
}

// applyResponse does what the runner said. One header of the runner's, and none of the upstream's goes to the client.
func (c *call) applyResponse(origin fetched, verdict respAction) int {
	if len(verdict.headers) > 0 {
		c.addResponseHeaders(verdict.headers, func(string) bool { return false })
	} else {
		for _, e := range headerEntries(origin.headers) {
			if !notFromRewrite(strings.ToLower(e.name)) {
				c.response = append(c.response, header{e.name, e.value})
			}
		}
	}
	c.stopBody = origin.body
	if len(verdict.body) > 0 {
		c.stopBody = verdict.body
	}
	if verdict.status != 0 {
		return verdict.status
	}
	return origin.status
}

func headerEntries(h http.Header) []entry {
	var entries []entry
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			entries = append(entries, entry{name: name, value: value, hasValue: true})
		}
	}
	return entries
}
