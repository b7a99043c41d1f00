package correlator

import (
	"hash/maphash"

	"fivetuple/correlator/baseline"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// Baselines says what is usual, and learns it. It is asked on the request path.
type Baselines interface {
	// Usual returns what is usual for a key's calls; never nil.
	Usual(baseline.Key) *baseline.Usual
	// Learn takes a call that has ended.
	Learn(now uint64, k baseline.Key, o *baseline.Observation)
}

// Judge is what calls are judged by. Any of it may be left out.
type Judge struct {
	Baselines Baselines // nil: nothing is usual, and baselines learn forever
	Sources   Sources   // nil: nothing is known of addresses
	// FlagAbove is the score above which a call is flagged, where its route has none of its own (Call.FlagAbove).
	FlagAbove float64
}

// judge judges calls: when their plugin runs, and when they have ended.
type judge struct {
	Judge
	unlearned baseline.Usual // without baselines
	ttls      ttlMemory
}

func newJudge(with Judge, seed maphash.Seed) *judge {
	return &judge{Judge: with, ttls: ttlMemory{seed: seed}}
}

// meet notes what a connection that is seen for the first time began with.
func (j *judge) meet(conn *connection, key *flow.Key, r *flow.Record) {
	d := &r.Conn.Dir[flow.RX]
	if r.Conn.Origin != flow.OriginHandshake {
		return // its beginning was not seen
	}
	conn.ttl, conn.ttlBefore = d.TTL, j.ttls.swap(&key.Remote, d.TTL)
	// What came first is what the connection began with if nothing came before it late; less than all that is kept of it may
	// be the beginning of anything.
	if d.OutOfOrder == 0 && int(d.FirstLen) == len(d.FirstPayload) {
		conn.first = d.Begins()
	}
}

// look judges a call at its plugin's run, by what has come of it until then: p.result is filled in.
func (j *judge) look(s *scratch, conn *connection, r *flow.Record, p *pendingCall) {
	res := &p.result
	usual := j.usual(&p.call)
	res.Judged, res.Learning = true, !usual.Ready
	if j.Sources != nil {
		if v, ok := j.Sources.Verdict(p.call.Peer.Addr().As16(), p.plugin); ok {
			res.Facts.AddSource(v)
		}
	}
	c := &s.call
	*c = conn.judged(&p.call, usual)
	c.RTT = roundTrip(&res.RTT)
	if res.Match != MatchConnection && res.Reason != ReasonContended {
		rx := &r.Conn.Dir[flow.RX]
		c.Request = judgedRequest(&res.Size.Span, rx.Retransmitted, rx.OutOfOrder-conn.group.after[flow.RX].outOfOrder)
	}
	if res.Match == MatchExchange {
		c.Request.Bytes, c.Receive, c.Wait = res.Size.Bytes, res.Timing.Recv, res.Timing.Wait
	}
	res.Facts.AddCall(c)
}

// end judges a call that has ended, by its record, and has its baseline learn it.
func (j *judge) end(s *scratch, conn *connection, record *CallRecord, now uint64) {
	g := &conn.group
	usual := j.usual(&g.call.call)
	c := &s.call
	*c = conn.judged(&g.call.call, usual)
	c.RTT = roundTrip(&record.RTT)
	if record.Reason != ReasonContended {
		c.Request = judgedRequest(&record.Request.Span, g.after[flow.RX].retransmitted, record.Request.OutOfOrder)
	}
	c.Request.ZeroWindow = record.Request.ZeroWindow
	c.Response = signal.Traffic{Packets: record.Response.Packets, Retransmitted: record.Response.Retransmitted, Payload: record.Response.Payload}
	at := &record.At
	c.Respond = microseconds(at.FirstResponse, max(at.LastResponse, at.Acknowledged))
	c.Stream = c.Stream || record.Upgraded
	if record.Match == MatchExchange && !record.Upgraded {
		c.Request.Bytes = record.Request.Bytes
		c.Receive, c.Wait = microseconds(at.FirstRequest, at.LastRequest), microseconds(at.LastRequest, at.Plugin)
	}
	record.Facts.AddCall(c)
	record.flag(&g.call.call, j.FlagAbove)
	j.teach(s, record, now)
}

// teach has the baseline learn a call whose figures are its own and whole. One that was flagged, or is beyond what is usual,
// is learned as abnormal: else whoever sends a little more each time would be what is usual in the end.
func (j *judge) teach(s *scratch, record *CallRecord, now uint64) {
	if j.Baselines == nil || record.Match != MatchExchange || record.Partial || record.Cut || record.Upgraded {
		return
	}
	c, o := &s.call, &s.seen
	*o = baseline.Observation{Source: record.Peer.Addr().As16(), Abnormal: record.Flagged || record.Facts.Verdict(signal.Learned).Signals != 0}
	at := &record.At
	o.Values = [baseline.Quantities]float64{
		baseline.Size: float64(c.Request.Bytes), baseline.RTT: float64(c.RTT),
		baseline.Receive:  observed(at.FirstRequest, at.LastRequest),
		baseline.Wait:     observed(at.LastRequest, at.Plugin),
		baseline.Response: observed(at.Plugin, at.LastResponse),
	}
	j.Baselines.Learn(now, baseline.Key{Route: record.Route.Route, Method: record.Method}, o)
}

func (j *judge) usual(call *Call) *baseline.Usual {
	if j.Baselines == nil {
		return &j.unlearned
	}
	return j.Baselines.Usual(baseline.Key{Route: call.Route.Route, Method: call.Method})
}

// flag says whether a call's score is above what its route, or else the setting, allows.
func (record *CallRecord) flag(call *Call, above float64) {
	if call.FlagAbove != 0 {
		above = call.FlagAbove
	}
	record.Flagged = record.Facts.Verdict(signal.All).Score > above
}
