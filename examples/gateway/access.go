package gateway

import (
	"net/http"
	"net/netip"
	"time"
)

// Access is what APISIX's access_log can show of one call, told to [Options.AccessLog] when it ended.
type Access struct {
	Method string // $request_method
	Path   string // $uri as it came: decoded and normalized; empty if it could not be read
	Target string // $request_uri: as it came
	Proto  string // $server_protocol
	Route  string // route id; empty if none matched
	Status int    // $status; 499 if the client went away before the answer
	// Header is the request's header lines as the upstream got them, or would have got them had the call
	// not been answered before: canonical names, Host among them. $http_x_packet_size is in it.
	Header http.Header

	RequestID          string // $request_id
	Connection         uint64 // $connection
	ConnectionRequests uint64 // $connection_requests
	HeadLength         int64  // bytes of the head: $request_length when the plugin ran
	RequestLength      int64  // $request_length at the end: bytes of head and body read
	Worker             int    // from 0

	Peer     netip.AddrPort // $realip_remote_addr and port
	Client   netip.AddrPort // $remote_addr and port: after real-ip, the port 0 if it named none
	Server   netip.AddrPort // $server_addr and port
	Upstream string         // host:port of the node; empty if none was asked

	Start, End time.Time
}
