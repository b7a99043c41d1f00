package gateway

import (
	"context"
	"net/http"
)

// azureFunctions is APISIX's plugin azure-functions, and with it aws-lambda and openfunction: it sends the call to a
// function itself, in the access phase, with all request headers that Lua sees.
type azureFunctions struct{ uri string }

type azureFunctionsEntry struct {
	URI text `yaml:"function_uri"`
}

func loadAzureFunctions(f *yamlFile, path string, e *azureFunctionsEntry) (*azureFunctions, error) {
	if e == nil {
		return nil, nil //nolint:nilnil // no plugin is not an error
	}
	return &azureFunctions{uri: string(e.URI)}, httpURL(f, path+".function_uri", string(e.URI), true)
}

// azureFunctions calls the function. It returns the status to answer with, 0 where the route has none.
func (c *call) azureFunctions(ctx context.Context) int {
	if c.route.azure == nil {
		return 0
	}
	body, err := c.readBody()
	if err != nil {
		return http.StatusBadRequest
	}
	headers := c.luaHeaders().remove(func(name string) bool {
		return name == "host" || name == "content-length" || notForwarded(name)
	})
	target := c.route.azure.uri
	if c.query != "" {
		target += "?" + c.query
	}
	got, err := c.fetch(ctx, ownRequest{method: c.request.method, url: target, headers: headers, body: body})
	if err != nil {
		c.gateway.log.Error().Err(err).Msg("azure-functions")
		return http.StatusServiceUnavailable
	}
	return c.answerWith(got)
}
