package calls

import (
	"encoding/hex"
	"math"

	"github.com/rs/zerolog"

	"fivetuple/correlator"
	"fivetuple/correlator/signal"
)

// writeLine adds the fields of a record, and ends the line. What is not known, or is the usual thing, is left out; conf/calls.md
// has the fields.
func (l *Log) writeLine(r *correlator.CallRecord) {
	l.wall.compare()
	e := l.line.Log()
	l.writeIdentity(e, r)
	l.writeConnection(e, r)
	writeMatch(e, r)
	writeAnomaly(e, r)
	if r.Match != correlator.MatchNone {
		writeTraffic(e, &r.Request, "orig_bytes", "orig_pkts", "orig_ip_bytes", "orig_payload_bytes",
			"orig_retransmitted_pkts", "orig_out_of_order_pkts", "orig_zero_window_pkts")
		writeTraffic(e, &r.Response, "resp_bytes", "resp_pkts", "resp_ip_bytes", "resp_payload_bytes",
			"resp_retransmitted_pkts", "resp_out_of_order_pkts", "resp_zero_window_pkts")
		writeTimes(e, r)
	}
	e.Send()
}

func (l *Log) writeIdentity(e *zerolog.Event, r *correlator.CallRecord) {
	if at := begin(r); at != 0 {
		e.Str("time", l.wall.text(at))
	}
	e.Str("apisix.route_id", r.Route.String())
	text(e, "apisix.service_id", r.Route.Service)
	text(e, "apisix.consumer_name", r.Route.Consumer)
	text(e, "http.request.method", r.Method)
	switch l.options.Path {
	case PathHash:
		text(e, "url.path_hash", r.Path)
	case PathFull:
		text(e, "url.path", r.Path)
	}
	text(e, "request_id", r.RequestID.String())
	if r.TraceID != [16]byte{} {
		e.Str("trace_id", hex.EncodeToString(r.TraceID[:]))
	}
}

// begin returns the call's first moment.
func begin(r *correlator.CallRecord) uint64 {
	if r.At.FirstRequest != 0 {
		return r.At.FirstRequest
	}
	return r.At.Plugin
}

func (l *Log) writeConnection(e *zerolog.Event, r *correlator.CallRecord) {
	peer, whole := l.addresses.cut(r.Peer.Addr())
	gateway, _ := l.addresses.cut(r.Gateway.Addr()) // of the same family
	e.Str("network.transport", "tcp")
	if r.Peer.Addr().Is4() {
		e.Str("network.type", "ipv4")
	} else {
		e.Str("network.type", "ipv6")
	}
	text(e, "network.peer.address", peer)
	if whole {
		e.Uint16("network.peer.port", r.Peer.Port())
	}
	text(e, "network.local.address", gateway)
	if whole { // whoever knows the rest of it finds the address behind a Community ID by trying them all
		e.Uint16("network.local.port", r.Gateway.Port())
		text(e, "community_id", r.FlowID)
	}
	if r.FlowStart != 0 {
		e.Str("connection_start", l.wall.text(r.FlowStart))
	}
	e.Uint64("connection", r.Connection).Uint64("connection_requests", r.Requests).Uint64("request_length", r.RequestLength)
}

func writeMatch(e *zerolog.Event, r *correlator.CallRecord) {
	e.Str("match", r.Match.String())
	text(e, "reason", string(r.Reason))
	if r.Missed != 0 {
		e.Uint64("missed_calls", r.Missed)
	}
	if r.First != 0 {
		e.Uint32("exchange_first", r.First).Uint32("exchange_last", r.Last)
	}
	flag(e, "partial", r.Partial)
	flag(e, "length_unknown", r.LengthUnknown)
	flag(e, "tls.established", r.TLS)
	flag(e, "tls_handshake", r.Handshake)
	flag(e, "upgraded", r.Upgraded)
	flag(e, "cut", r.Cut)
}

// writeAnomaly says what is not normal about a call that was judged.
func writeAnomaly(e *zerolog.Event, r *correlator.CallRecord) {
	if !r.Judged {
		return
	}
	v := r.Facts.Verdict(signal.All)
	e.Float64("anomaly_score", Score(v.Score))
	text(e, "anomaly_signals", v.Signals.String())
	flag(e, "flagged", r.Flagged)
}

// Score returns a score with the digits that headers have.
func Score(score float64) float64 { return math.Round(score*1000) / 1000 }

func writeTraffic(e *zerolog.Event, t *correlator.Traffic, bytes, packets, ipBytes, payload, retransmitted, outOfOrder, zeroWindow string) {
	e.Uint32(bytes, t.Length).Uint32(packets, t.Packets).Uint64(ipBytes, t.Bytes).Uint64(payload, t.Payload)
	e.Uint32(retransmitted, t.Retransmitted).Uint32(outOfOrder, t.OutOfOrder).Uint32(zeroWindow, t.ZeroWindow)
}

func writeTimes(e *zerolog.Event, r *correlator.CallRecord) {
	for _, f := range []struct {
		name string
		us   uint64
	}{{"rtt_us", uint64(r.RTT.Now)}, {"rtt_min_us", uint64(r.RTT.Min)}, {"rtt_handshake_us", r.RTT.Handshake}} {
		if f.us != 0 {
			e.Uint64(f.name, f.us)
		}
	}
	if start := begin(r); start != 0 {
		for _, f := range []struct {
			name string
			at   uint64
		}{
			{"at_last_request_us", r.At.LastRequest},
			{"at_plugin_us", r.At.Plugin},
			{"at_first_response_us", r.At.FirstResponse},
			{"at_last_response_us", r.At.LastResponse},
			{"at_acknowledged_us", r.At.Acknowledged},
		} {
			if f.at != 0 {
				e.Float64(f.name, float64(int64(f.at-start))/nsPerUS)
			}
		}
	}
	if r.Split.Total == 0 {
		return
	}
	s := &r.Split
	for _, f := range []struct {
		name string
		ns   uint64
	}{
		{"total_us", s.Total},
		{"network_us", s.Network},
		{"arriving_us", s.Arriving},
		{"waiting_us", s.Waiting},
		{"serving_us", s.Serving},
		{"leaving_us", s.Leaving},
	} {
		e.Float64(f.name, float64(f.ns)/nsPerUS)
	}
}

// nsPerUS: microseconds are written with their fraction, so that the parts of a call's time add up to the nanosecond.
const nsPerUS = 1000

func text(e *zerolog.Event, name, value string) {
	if value != "" {
		e.Str(name, value)
	}
}

func flag(e *zerolog.Event, name string, value bool) {
	if value {
		e.Bool(name, true)
	}
}
