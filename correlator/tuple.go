package correlator

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"fivetuple/correlator/flow"
)

// Tuple is what the gateway says of a call's connection.
type Tuple struct {
	Peer    netip.AddrPort // the TCP peer: a client, or the load balancer in front; never what real-ip made of it
	Gateway netip.AddrPort // the gateway's own end
	// Connection is the gateway's serial number of the connection, Requests the number of this request on it, from 1;
	// requests that met no plugin count too.
	Connection, Requests uint64
	// RequestLength is the length in bytes of this request's head: request line, header fields, empty line.
	RequestLength uint64
	// RequestID is the gateway's id of the request; empty where its configuration does not give it.
	RequestID Text
}

// Key returns the key of the connection's record.
func (t Tuple) Key() flow.Key { return flow.NewKey(flow.TCP, t.Gateway, t.Peer) }

// Gateway is what can be asked about a call.
type Gateway interface {
	// Header returns the value of a request header field, "" if there is none.
	Header(name string) string
	// Var returns the value of one of the gateway's variables, "" if it has none or did not answer.
	Var(name string) string
	// Vars is Var for several variables, in the order of their names. It may leave out those behind one without a value.
	Vars(names []string) []string
}

// The names under which the gateway's configuration (conf/apisix/config.yaml) gives the tuple.
const (
	TupleHeaderName   = "X-Packet-Tuple"
	TupleVariableName = "packet_tuple"
)

// tupleVariables returns the single variables, in the order in which the text form has them.
func tupleVariables() []string {
	return []string{
		"realip_remote_addr", "realip_remote_port", "server_addr", "server_port",
		"connection", "connection_requests", "request_length",
	}
}

// ErrTuple means that the gateway gave no tuple, or none that can be used.
var ErrTuple = errors.New("no usable 5-tuple")

// TupleSource says where a call's tuple came from.
type TupleSource struct {
	// Way is the one that had it: TupleHeader, TupleMapVariable or TupleVariables; "" if none had.
	Way string
	// The ways that had a value which is no tuple.
	WrongHeader, WrongMapVariable, WrongVariables bool
}

// FindTuple asks the gateway for the call's tuple: in the given way first (Options.Tuple), then in each of the later
// ones that cost more.
func FindTuple(g Gateway, way string) (t Tuple, from TupleSource, err error) {
	if way == TupleHeader {
		if text := g.Header(TupleHeaderName); text != "" {
			if t, err = ParseTuple(text); err == nil {
				from.Way = TupleHeader
				return t, from, nil
			}
			from.WrongHeader = true
		}
	}
	if way != TupleVariables {
		if text := g.Var(TupleVariableName); text != "" {
			if t, err = ParseTuple(text); err == nil {
				from.Way = TupleMapVariable
				return t, from, nil
			}
			from.WrongMapVariable = true
		}
	}
	names := tupleVariables()
	values := g.Vars(names)
	if len(values) != len(names) || slices.Contains(values, "") {
		if err == nil {
			err = fmt.Errorf("%w: the gateway names none", ErrTuple)
		}
		return Tuple{}, from, err
	}
	if t, err = ParseTuple(strings.Join(values, " ")); err != nil {
		from.WrongVariables = true
		return Tuple{}, from, err
	}
	from.Way = TupleVariables
	return t, from, nil
}

// maxTupleText is the length of the longest text that can be a tuple: two addresses, two ports, three 64-bit numbers, and a
// request id.
const maxTupleText = 2*39 + 2*5 + 3*20 + 7 + maxText

// ParseTuple reads the text form: peer address and port, gateway address and port, connection, connection_requests,
// request_length and, if the gateway gives it, request_id, each separated by one space.
func ParseTuple(text string) (Tuple, error) {
	if len(text) > maxTupleText {
		return Tuple{}, fmt.Errorf("%w: %d bytes are more than %d", ErrTuple, len(text), maxTupleText)
	}
	var fields [7]string
	rest, more := text, true
	for i := range fields {
		if !more {
			return Tuple{}, fmt.Errorf("%w: %q has %d fields, not %d", ErrTuple, text, i, len(fields))
		}
		fields[i], rest, more = strings.Cut(rest, " ")
	}
	var t Tuple
	if more {
		if rest == "" || len(rest) > maxText || strings.Contains(rest, " ") {
			return Tuple{}, fmt.Errorf("%w: %q has more than %d fields, or no request id of 1 to %d bytes", ErrTuple, text, len(fields)+1, maxText)
		}
		t.RequestID = NewText(rest)
	}
	var errs [5]error
	t.Peer, errs[0] = parseAddrPort(fields[0], fields[1])
	t.Gateway, errs[1] = parseAddrPort(fields[2], fields[3])
	t.Connection, errs[2] = strconv.ParseUint(fields[4], 10, 64)
	t.Requests, errs[3] = strconv.ParseUint(fields[5], 10, 64)
	t.RequestLength, errs[4] = strconv.ParseUint(fields[6], 10, 64)
	for _, err := range errs {
		if err != nil {
			return Tuple{}, fmt.Errorf("%w: %q: %w", ErrTuple, text, err)
		}
	}
	if t.Requests == 0 || t.Peer.Addr().Is4() != t.Gateway.Addr().Is4() {
		return Tuple{}, fmt.Errorf("%w: %q: connection_requests is 0, or the addresses are of two families", ErrTuple, text)
	}
	return t, nil
}

func parseAddrPort(addr, port string) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return netip.AddrPort{}, err
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(a.Unmap().WithZone(""), uint16(p)), nil
}
