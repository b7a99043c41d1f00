package gateway

import (
	"context"
	"net/http"
	"strings"
)

// forwardAuth is APISIX's plugin forward-auth: a service decides about each call, in the access phase.
type forwardAuth struct {
	uri, method     string
	requestHeaders  []string // of the client's, which the service gets
	upstreamHeaders []string // of the service's answer, which the upstream gets
}

type forwardAuthEntry struct {
	URI             text   `yaml:"uri"`
	Method          text   `yaml:"request_method"`
	RequestHeaders  []text `yaml:"request_headers"`
	UpstreamHeaders []text `yaml:"upstream_headers"`
}

func loadForwardAuth(f *yamlFile, path string, e *forwardAuthEntry) (*forwardAuth, error) {
	if e == nil {
		return nil, nil //nolint:nilnil // no plugin is not an error
	}
	a := &forwardAuth{uri: string(e.URI), method: string(e.Method), requestHeaders: texts(e.RequestHeaders), upstreamHeaders: texts(e.UpstreamHeaders)}
	switch a.method {
	case "":
		a.method = http.MethodGet
	case http.MethodGet, http.MethodPost:
	default:
		return nil, f.wrong(path+".request_method", "want GET or POST")
	}
	return a, httpURL(f, path+".uri", a.uri, true)
}

func texts(list []text) []string {
	all := make([]string, len(list))
	for i, t := range list {
		all[i] = string(t)
	}
	return all
}

// forwardAuth asks the service. It returns the status to answer with, 0 to go on.
func (c *call) forwardAuth(ctx context.Context) int {
	a := c.route.auth
	if a == nil {
		return 0
	}
	headers := headerList{
		{"X-Forwarded-Proto", c.request.scheme()},
		{"X-Forwarded-Method", c.request.method},
		{"X-Forwarded-Host", c.host()},
		{"X-Forwarded-Uri", c.request.target},
		{"X-Forwarded-For", addrText(c.client.Addr())},
	}
	ours := c.luaHeaders()
	for _, name := range a.requestHeaders {
		if _, set := headers.get(name); set {
			continue
		}
		if value, ok := ours.get(strings.ReplaceAll(name, "_", "-")); ok {
			headers = append(headers, header{name, value})
		}
	}
	var body []byte
	if a.method == http.MethodPost {
		var err error
		if body, err = c.readBody(); err != nil {
			return http.StatusRequestEntityTooLarge
		}
	}
	got, err := c.fetch(ctx, ownRequest{method: a.method, url: a.uri, headers: headers, body: body})
	switch {
	case err != nil:
		c.gateway.log.Warn().Err(err).Msg("forward-auth")
		return http.StatusForbidden
	case got.status >= http.StatusMultipleChoices:
		c.stopBody = got.body
		return got.status
	}
	for _, name := range a.upstreamHeaders {
		c.headers = c.headers.set(name, got.headers.Get(name))
	}
	return 0
}
