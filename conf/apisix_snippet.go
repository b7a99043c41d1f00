package conf

import (
	"errors"
	"fmt"
	"strings"
)

// tupleValues are what nginx says of a call's connection, in the order in which the runner reads them.
const tupleValues = "$realip_remote_addr $realip_remote_port $server_addr $server_port " +
	"$connection $connection_requests $request_length $request_id"

// locationDirectives have to stand in the location where every call begins, in this order: the first would clear what
// the third sets.
func locationDirectives() []string {
	return []string{
		`more_clear_input_headers "X-Packet-*" "X_Packet_*" "X-Packet_*" "X_Packet-*";`,
		`more_clear_input_headers "X-Packet" "X_Packet";`,
		`more_set_input_headers "X-Packet-Tuple: $packet_tuple";`,
		`proxy_set_header X-Packet-Tuple "";`,
	}
}

// httpDirectives have to stand in the http block. The location's directive asks for the variable when a request begins: from
// then on it has that value, also for a plugin that asks when the request's body has been read.
func httpDirectives() []string {
	return []string{`map "" $packet_tuple { default "` + tupleValues + `"; }`}
}

// logged are the variables that show in the access log what the plugin set.
func logged() []string {
	return []string{"$http_x_packet_match", "$http_x_packet_latency", "$http_x_packet_size", "$http_x_packet_anomaly", "$http_x_packet\""}
}

func (n Nginx) validate() error {
	var errs []error
	errs = append(errs,
		directives("http_server_location_configuration_snippet", n.LocationSnippet, locationDirectives()),
		directives("http_configuration_snippet", n.HTTPSnippet, httpDirectives()),
		oneOf("http.access_log_format_escape", n.HTTP.AccessLogFormatEscape, "json"))
	format := n.HTTP.AccessLogFormat
	for _, v := range logged() {
		if !strings.Contains(format, v) {
			errs = append(errs, fmt.Errorf("http.access_log_format: %s is missing", strings.TrimSuffix(v, `"`)))
		}
	}
	if strings.Contains(format, "'") { // APISIX writes it into nginx.conf between two of them
		errs = append(errs, errors.New("http.access_log_format: a ' ends it"))
	}
	return errors.Join(errs...)
}

// directives reports those of want that a snippet does not hold as lines of their own, or not in their order.
func directives(key, snippet string, want []string) error {
	var errs []error
	at := map[string]int{}
	for i, line := range strings.Split(snippet, "\n") {
		at[strings.TrimSpace(line)] = i + 1
	}
	last := 0
	for _, w := range want {
		switch line := at[w]; {
		case line == 0:
			errs = append(errs, fmt.Errorf("%s: the line %s is missing", key, w))
		case line < last:
			errs = append(errs, fmt.Errorf("%s: the line %s stands too early", key, w))
		default:
			last = line
		}
	}
	return errors.Join(errs...)
}
