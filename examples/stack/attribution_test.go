package stack_test

import (
	"fmt"
	"strings"

	"fivetuple/correlator"
	"fivetuple/examples/lab"
)

// share are the exchanges that some calls of a connection share, as the capture shows them: those from the one in which the
// first byte of the first of them came, until the one in which the next call's came.
type share struct {
	calls    []*sent
	from, to int
}

// shares divides a connection's exchanges among its calls, by nothing but where each call began in what the client sent.
// Calls that met no plugin belong to the one before them.
func (c *talk) shares(f *lab.Flow) ([]share, error) {
	last := len(f.Exchanges()) - 1
	if c.rules.http2 {
		return []share{{calls: c.calls, from: 0, to: last}}, nil
	}
	var all []share
	for i, call := range c.calls {
		n, err := exchangeOf(f, call.first)
		if err != nil {
			return nil, fmt.Errorf("call %d: %w", i+1, err)
		}
		if i == 0 && c.rules.tls {
			n = 2
		}
		met := call.want != ""
		switch {
		case len(all) > 0 && (!met || all[len(all)-1].from == n):
			all[len(all)-1].calls = append(all[len(all)-1].calls, call)
		case met:
			if len(all) > 0 {
				all[len(all)-1].to = n - 1
			}
			all = append(all, share{calls: []*sent{call}, from: n, to: last})
		}
	}
	return all, nil
}

// exchangeOf returns the number of the exchange in which a byte of what the client sent came first.
func exchangeOf(f *lab.Flow, at int64) (int, error) {
	var isn uint32
	for _, s := range f.Segments {
		if s.RX && s.Flags&lab.FlagSYN != 0 {
			isn = s.Seq
			break
		}
	}
	seq := isn + 1 + uint32(at)
	for _, x := range f.Exchanges() {
		for _, s := range x.RX {
			if seq-s.Seq < uint32(s.PayloadLen) {
				return x.Number, nil
			}
		}
	}
	return 0, fmt.Errorf("byte %d is not in the capture", at)
}

// carried is what one direction carried: segments with payload, and their IP bytes.
type carried struct{ packets, bytes uint64 }

// of returns what the capture shows of the exchanges: each segment, in its order.
func (s *share) of(f *lab.Flow) (request, response []lab.Segment) {
	for _, x := range f.Exchanges()[s.from : s.to+1] {
		request, response = append(request, x.RX...), append(response, x.TX...)
	}
	return request, response
}

// equals says whether the records' sum is that of the segments.
func (c carried) equals(segments []lab.Segment) bool {
	return c.packets == uint64(len(segments)) && c.begins(segments)
}

// begins says whether the records' sum is that of the first segments.
func (c carried) begins(segments []lab.Segment) bool {
	if c.packets > uint64(len(segments)) {
		return false
	}
	bytes := uint64(0)
	for _, s := range segments[:c.packets] {
		bytes += uint64(s.IPBytes)
	}
	return c.bytes == bytes
}

func (c *carried) add(t *correlator.Traffic) {
	c.packets += uint64(t.Packets)
	c.bytes += t.Bytes
}

// flowsOf returns the connections of a capture by their addresses, one after the other where they had the same.
func flowsOf(packets []lab.Packet) map[lab.FlowKey][]*lab.Flow {
	parts := make(map[lab.FlowKey][][]lab.Packet)
	began := make(map[lab.FlowKey]uint32)
	for _, p := range packets {
		s, err := lab.Decode(p)
		if err != nil {
			continue
		}
		key := lab.FlowKey{Local: s.Src, Remote: s.Dst}
		if s.RX {
			key = lab.FlowKey{Local: s.Dst, Remote: s.Src}
		}
		syn := s.RX && s.Flags&(lab.FlagSYN|lab.FlagACK) == lab.FlagSYN
		if isn, ok := began[key]; !ok || syn && isn != s.Seq {
			parts[key] = append(parts[key], nil)
			began[key] = s.Seq
		}
		last := len(parts[key]) - 1
		parts[key][last] = append(parts[key][last], p)
	}
	flows := make(map[lab.FlowKey][]*lab.Flow)
	for key, each := range parts {
		for _, part := range each {
			flows[key] = append(flows[key], lab.Flows(part, nil)[key])
		}
	}
	return flows
}

// describe returns how a record says its figures were found: the match and its parameters, as the header has them.
func describe(r *correlator.CallRecord) string {
	text := []string{r.Match.String()}
	for _, p := range []struct {
		is   bool
		name string
	}{
		{r.Reason != "", "reason=" + string(r.Reason)},
		{r.Partial, "partial"},
		{r.LengthUnknown, "length=unknown"},
		{r.TLS, "tls"},
		{r.Handshake, "handshake"},
		{r.Missed > 0, fmt.Sprintf("missed=%d", r.Missed)},
		{r.Upgraded, "upgraded"},
		{r.Cut, "cut"},
	} {
		if p.is {
			text = append(text, p.name)
		}
	}
	return strings.Join(text, ";")
}
