package correlator

import "fivetuple/correlator/flow"

// lineBreak is the length of the empty line that some clients send after a body, and servers ignore (RFC 9112, 2.2).
const lineBreak = 2

// http1 matches a call of cleartext HTTP/1, where every length can be checked against the client's sequence numbers.
type http1 struct {
	r        *flow.Record
	call     Call
	at       cursor
	expected uint64 // bytes of the request
}

// matchHTTP1 finds the call's exchanges: those that start with the call's first byte, if all lengths before it were
// known; all since the last one claimed, if not; the current one, if calls lay between that met no plugin. The span of
// the client's sequence numbers since then says what the call is: as many bytes as expected, an exchange; more, others
// have a part in it; less, the body is under way. `plain` says that the connection began with a request, and not with a
// PROXY header, whose length is not the request's.
func matchHTTP1(r *flow.Record, call Call, at cursor, missed uint64, plain bool) (Result, cursor) {
	m := http1{r: r, call: call, at: at, expected: call.RequestLength + call.ContentLength}
	if !plain && at.claimed == 0 {
		m.at.known = false
	}
	switch {
	case at.unseen:
		return m.shared(r.Exchange, "")
	case missed > 0:
		return m.afterGap(missed)
	case m.at.known:
		return m.fromByte(m.find(m.at.next))
	}
	return m.sinceClaimed()
}

// find returns the number of the exchange in which a byte lies, and whether it lies behind the exchange's first byte; not
// held if the record no longer has that exchange. An empty line between two requests belongs to neither: the exchange
// after it is the call's, if its length says so.
func (m *http1) find(seq uint32) (number uint32, inside, held bool) {
	for n := m.r.Exchange; n > 0; n-- {
		e, ok := m.r.At(n)
		if !ok {
			break
		}
		switch ahead := int32(e.Seq[flow.RX] - seq); {
		case ahead < 0:
			return n, true, true
		case ahead == 0, ahead <= lineBreak && m.isWhole(n):
			return n, false, true
		}
	}
	return m.r.Exchange, false, false
}

// fromByte matches a call whose first byte lies in an exchange, or in one that the record no longer has.
func (m *http1) fromByte(number uint32, inside, held bool) (Result, cursor) {
	if held && !inside {
		return m.from(number, true)
	}
	reason := Reason("")
	if held && number > m.at.claimed { // it began after the call before was looked at, and brought that call's tail
		reason = ReasonEarlyResponse
	}
	res, after := m.shared(number, reason)
	after.next, after.known = m.at.next+uint32(m.expected), !m.call.Chunked
	return res, after
}

// sinceClaimed matches a call that can begin anywhere behind the last claimed exchange.
func (m *http1) sinceClaimed() (Result, cursor) {
	first := m.at.claimed + 1
	if first > m.r.Exchange {
		return m.shared(m.r.Exchange, "") // pipelined: its bytes came with an earlier call's
	}
	e, held := m.r.At(first)
	whole := held && m.span(e) == m.expected
	alone := m.isWhole(m.r.Exchange) || m.isHead(m.r.Exchange)
	switch {
	case whole && alone && first < m.r.Exchange: // its body, or one as long of the call before
		return m.shared(first, "")
	case !whole && alone, !held:
		return m.afterGap(0)
	}
	return m.from(first, false)
}

// afterGap matches a call of which only the current exchange can be told to be its own, by its length. Unless they were
// pipelined, each of the missed calls has begun an exchange.
func (m *http1) afterGap(missed uint64) (Result, cursor) {
	n := m.r.Exchange
	if uint64(n-m.at.claimed) <= missed || m.call.Chunked {
		return m.shared(n, "")
	}
	return m.from(n, false)
}

// isWhole says whether an exchange has exactly the bytes that the call should have.
func (m *http1) isWhole(number uint32) bool {
	e, ok := m.r.At(number)
	return ok && !m.call.Chunked && m.span(e) == m.expected
}

// isHead says whether an exchange has exactly the bytes of the call's head, which is all there when the plugin runs.
func (m *http1) isHead(number uint32) bool {
	e, ok := m.r.At(number)
	return ok && !m.call.Chunked && m.span(e) == m.call.RequestLength
}

func (m *http1) span(e *flow.Exchange) uint64 { return uint64(m.r.Since(e, flow.RX).Length) }

// from matches a call that begins with an exchange, by the span since. Where it is not `exact` that the exchange begins
// with the call's first byte, bytes of others may lie before it: then only the length of the whole request tells, or
// that of its head, which is all there when the plugin runs.
func (m *http1) from(number uint32, exact bool) (Result, cursor) {
	e, _ := m.r.At(number)
	res := Result{Match: MatchExchange, Number: number}
	after := cursor{claimed: m.r.Exchange, next: e.Seq[flow.RX] + uint32(m.expected), known: !m.call.Chunked}
	switch span := m.span(e); {
	case span < m.call.RequestLength:
		return m.shared(number, "") // the plugin runs when the head is there: some of it came before
	case m.call.Chunked:
		res.LengthUnknown = true
	case span == m.expected:
	case !exact && span != m.call.RequestLength:
		return m.shared(number, "")
	case span > m.expected:
		res, _ := m.shared(number, "")
		return res, after
	default:
		res.Partial = true
	}
	return res, after
}

// shared matches a call that has a part in the exchanges since a number; where the next one begins is not known.
func (m *http1) shared(number uint32, reason Reason) (Result, cursor) {
	return Result{Match: MatchShared, Number: number, Reason: reason}, cursor{claimed: m.r.Exchange}
}
