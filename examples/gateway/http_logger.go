package gateway

import (
	"context"
	"encoding/json"
	"net/http"
)

// httpLogger is APISIX's plugin http-logger: in the log phase it sends a line with all request headers that Lua sees to a
// server. APISIX sends lines in batches; here each goes out before the call ends.
type httpLogger struct{ uri string }

type httpLoggerEntry struct {
	URI text `yaml:"uri"`
}

func loadHTTPLogger(f *yamlFile, path string, e *httpLoggerEntry) (*httpLogger, error) {
	if e == nil {
		return nil, nil //nolint:nilnil // no plugin is not an error
	}
	return &httpLogger{uri: string(e.URI)}, httpURL(f, path+".uri", string(e.URI), true)
}

// logHTTP is the log phase.
func (c *call) logHTTP(ctx context.Context, status int) {
	if c.route == nil || c.route.logger == nil {
		return
	}
	headers := make(map[string][]string)
	for _, h := range c.luaHeaders() {
		headers[h.name] = append(headers[h.name], h.value)
	}
	line, err := json.Marshal([]any{map[string]any{
		"client_ip": addrText(c.client.Addr()), "route_id": c.routeID(),
		"request":  map[string]any{"method": c.request.method, "uri": c.request.target, "headers": headers},
		"response": map[string]any{"status": status},
	}})
	if err == nil {
		_, err = c.fetch(ctx, ownRequest{
			method: http.MethodPost, url: c.route.logger.uri, body: line,
			headers: headerList{{"Content-Type", "application/json"}},
		})
	}
	if err != nil {
		c.gateway.log.Warn().Err(err).Msg("http-logger")
	}
}
