// Package gateway is a stand-in for Apache APISIX, for machines that have none: it is not APISIX and not a
// gateway for production. It serves HTTP, calls a plugin runner over APISIX's plugin protocol as a recorded
// APISIX 3.18.0 did, byte for byte where a runner can tell, and passes the calls on to upstreams. What it
// cannot play it refuses to load, so that a configuration that works here is one that APISIX takes too.
//
// # Reading the source
//
// [Gateway.Serve] (serve.go) accepts connections; http1.go is the connection loop for HTTP/1.x, http2.go
// hands HTTP/2 to net/http. Both make a request (request.go), and call.go takes it through the phases:
// snippets (snippet_apply.go), global rules (global_rules.go), ext-plugin-pre-req and -post-req (plugin.go), fault-injection's
// pause (fault_injection.go), the upstream (proxy.go), or a tunnel to it (upgrade.go). Plugins that send requests of their own
// are a file each (forward_auth.go, ai_proxy.go, azure_functions.go, http_logger.go, mirror.go, post_resp.go); what they have in
// common is in own_request.go.
// The protocol is in frame.go, encode.go and action.go; what APISIX remembers between calls is in
// tokens.go and pool.go; the two configuration files are read by routes_file.go and config_file.go.
package gateway
