package gateway

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// variable returns nginx's or APISIX's variable of this call; false where it is unset (which is not
// empty: http2 is empty on HTTP/1.1, ssl_protocol is unset without TLS).
func (c *call) variable(name string) (string, bool) {
	value, ok := c.gateway.snippets.maps[name]
	if !ok {
		return c.plainVariable(name)
	}
	known, ok := c.mapped[name]
	if !ok {
		known = value.expand(c.plainVariable)
		if c.mapped == nil {
			c.mapped = make(map[string]string)
		}
		c.mapped[name] = known
	}
	return known, true
}

// plainVariable leaves the map variables out, so that a map cannot name itself.
func (c *call) plainVariable(name string) (string, bool) {
	if field, ok := strings.CutPrefix(name, "http_"); ok {
		return c.headerVariable(field)
	}
	if arg, ok := strings.CutPrefix(name, "arg_"); ok {
		return c.argVariable(arg)
	}
	for _, group := range c.variableGroups() {
		if value, ok := group(name); ok {
			return value, true
		}
	}
	return "", false
}

// variableGroups are the sources of variables; what none knows is unset, consumer_name among it: APISIX
// knows the consumer only after its authentication plugins, which the stand-in does not play.
func (c *call) variableGroups() []func(string) (string, bool) {
	return []func(string) (string, bool){c.addressVariable, c.connectionVariable, c.requestVariable, c.socketVariable}
}

func (c *call) addressVariable(name string) (string, bool) {
	peer, local := c.request.conn.peer, c.request.conn.local
	switch name {
	case "realip_remote_addr":
		return addrText(peer.Addr()), true
	case "realip_remote_port":
		return strconv.Itoa(int(peer.Port())), true
	case "remote_addr":
		return addrText(c.client.Addr()), true
	case "remote_port":
		if c.client.Port() == 0 { // real-ip named no port
			return "", true
		}
		return strconv.Itoa(int(c.client.Port())), true
	case "server_addr":
		return addrText(local.Addr()), true
	case "server_port":
		return strconv.Itoa(int(local.Port())), true
	default:
		return "", false
	}
}

func (c *call) connectionVariable(name string) (string, bool) {
	conn := c.request.conn
	switch name {
	case "connection":
		return strconv.FormatUint(conn.number, 10), true
	case "connection_requests":
		return strconv.FormatUint(c.request.number, 10), true
	case "connection_time":
		return seconds(c.gateway.now().Sub(conn.start)), true
	case "ssl_protocol":
		return conn.tlsVersion, conn.tlsVersion != ""
	case "http2":
		return conn.http2, true
	case "pid":
		return strconv.Itoa(os.Getpid()), true // one process plays all workers
	default:
		return "", false
	}
}

func (c *call) requestVariable(name string) (string, bool) {
	r := c.request
	switch name {
	case "server_protocol":
		return r.proto, true
	case "request_id":
		return c.id, true
	case "route_id":
		return c.routeID(), c.route != nil
	case "request_length":
		return strconv.FormatInt(r.headLength+r.bodyLength(), 10), true
	case "msec":
		now := c.gateway.now()
		return fmt.Sprintf("%d.%03d", now.Unix(), now.Nanosecond()/int(time.Millisecond)), true
	case "request_method", "method":
		return r.method, true
	case "request_uri":
		return r.target, true
	case "uri":
		return c.uri, true
	case "args", "query_string":
		return c.query, true
	case "scheme":
		return r.scheme(), true
	case "host":
		return c.host(), true
	default:
		return "", false
	}
}

func (c *call) socketVariable(name string) (string, bool) {
	if !strings.HasPrefix(name, "tcpinfo_") {
		return "", false
	}
	return tcpInfoVariable(c.request.conn.raw, name)
}

// headerVariable answers http_name: the lines' values joined, as nginx joins them.
func (c *call) headerVariable(field string) (string, bool) {
	var values []string
	for _, h := range c.headers {
		if strings.EqualFold(strings.ReplaceAll(h.name, "-", "_"), field) {
			values = append(values, h.value)
		}
	}
	return strings.Join(values, ", "), values != nil
}

func (c *call) argVariable(name string) (string, bool) {
	values := c.args().values[name]
	if len(values) == 0 {
		return "", false
	}
	return values[0].value, true
}

// knownVariable says whether a configuration may name a variable, whether or not a call has it.
func knownVariable(name string) bool {
	for _, prefix := range []string{"http_", "arg_", "tcpinfo_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	switch name {
	case "realip_remote_addr", "realip_remote_port", "remote_addr", "remote_port", "server_addr", "server_port",
		"connection", "connection_requests", "connection_time", "ssl_protocol", "http2", "pid",
		"server_protocol", "request_id", "route_id", "service_id", "request_length", "msec", "request_method",
		"request_uri", "uri", "args", "query_string", "scheme", "host", "consumer_name":
		return true
	default:
		return false
	}
}

// addrText writes an address as nginx does: IPv4 never mapped into IPv6, no zone.
func addrText(addr netip.Addr) string { return addr.Unmap().WithZone("").String() }

// seconds is nginx's form of a duration: whole seconds, a point, milliseconds.
func seconds(d time.Duration) string {
	ms := d.Milliseconds()
	return fmt.Sprintf("%d.%03d", ms/1000, ms%1000)
}
