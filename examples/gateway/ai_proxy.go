package gateway

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// aiProxy is APISIX's plugin ai-proxy: it sends the call to a model provider itself, with all request headers that Lua
// sees, in place of nginx's proxy.
type aiProxy struct {
	endpoint string
	auth     map[string]string
}

type aiProxyEntry struct {
	Provider text `yaml:"provider"`
	Auth     struct {
		Header map[string]text `yaml:"header"`
	} `yaml:"auth"`
	Override struct {
		Endpoint text `yaml:"endpoint"`
	} `yaml:"override"`
}

func loadAIProxy(f *yamlFile, path string, e *aiProxyEntry) (*aiProxy, error) {
	if e == nil {
		return nil, nil //nolint:nilnil // no plugin is not an error
	}
	if e.Provider != "openai-compatible" {
		return nil, f.wrong(path+".provider", "the stand-in plays openai-compatible only")
	}
	a := &aiProxy{endpoint: string(e.Override.Endpoint), auth: make(map[string]string)}
	for name, value := range e.Auth.Header {
		a.auth[name] = string(value)
	}
	return a, httpURL(f, path+".override.endpoint", a.endpoint, true)
}

// aiProxy sends the call to the provider and returns the status to answer with. The body goes out as it came; APISIX
// writes it anew.
func (c *call) aiProxy(ctx context.Context) int {
	body, err := c.readBody()
	if err != nil || !json.Valid(body) {
		c.stopBody = []byte(`{"message":"could not get parsed as JSON"}`)
		return http.StatusBadRequest
	}
	headers := c.luaHeaders().remove(func(name string) bool {
		switch name {
		case "host", "content-length", "accept-encoding":
			return true
		default:
			return notForwarded(name)
		}
	})
	for _, name := range slices.Sorted(maps.Keys(c.route.ai.auth)) {
		headers = headers.set(strings.ToLower(name), c.route.ai.auth[name])
	}
	headers = headers.set("content-type", "application/json")
	got, err := c.fetch(ctx, ownRequest{method: http.MethodPost, url: c.route.ai.endpoint, headers: headers, body: body})
	if err != nil {
		c.gateway.log.Error().Err(err).Msg("ai-proxy")
		return http.StatusInternalServerError
	}
	return c.answerWith(got)
}
