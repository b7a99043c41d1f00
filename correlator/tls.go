package correlator

import "fivetuple/correlator/flow"

// matchTLS finds the exchanges of a call over TLS: those since the last one claimed. Bytes are those of records, so that
// no length can be checked. Exchange 1 is the handshake's; its tail may lie in the first call's exchanges, because the
// server may send session tickets between the client's last handshake message and the request (RFC 8446, 4.6.1).
func matchTLS(r *flow.Record, call Call, at cursor, missed uint64) (Result, cursor) {
	after := cursor{claimed: r.Exchange, body: call.ContentLength > 0 || call.Chunked}
	res := Result{Match: MatchExchange, TLS: true, Number: at.claimed + 1}
	switch {
	case call.Requests == 1 && r.Conn.Origin == flow.OriginHandshake:
		res.Handshake = true
		res.Number = 2
	case missed > 0:
		res.Number = r.Exchange
	}
	_, held := r.At(res.Number)
	tail := at.body && missed == 0 && r.Exchange > res.Number // the body of the call before, behind a 100 or a session ticket
	if at.unseen || tail || !held || res.Number <= at.claimed || call.Requests == 1 && !res.Handshake {
		res.Match, res.Number = MatchShared, r.Exchange
	}
	return res, after
}
