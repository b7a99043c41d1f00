package correlator

import "fivetuple/correlator/flow"

// groupRoom is how many calls that share exchanges are remembered, beside the first; more lose their record, counted.
const groupRoom = 31

// group are the calls that wait for the end of the exchanges that they share: one call, unless they were pipelined. Where
// it ends is known when the connection's next call begins, when the connection is closed or silent, or never (cut).
type group struct {
	open   bool
	first  uint32 // number of the first exchange
	start  marks  // of the flow, when that began
	before [2]trouble
	missed uint64 // calls that met no plugin, right after
	// What was known at the last look, for a record that goes: figures and moments so far.
	seen  marks
	at    Moments
	rtt   RTT
	after [2]trouble

	call pendingCall
	more []pendingCall
}

// pendingCall is a call that has not ended yet.
type pendingCall struct {
	call   Call
	result Result
	plugin uint64 // when its plugin ran first
}

// begin starts the group of a call that begins with an exchange, or, without one, at where the flow stands.
func (g *group) begin(r *flow.Record, first uint32, start marks, p pendingCall) {
	*g = group{open: true, first: first, start: start, before: g.after, call: p, more: g.more[:0]}
	g.at.Plugin = p.plugin
	g.look(r, r.Exchange)
}

// join adds a call that shares the group's exchanges; false if there is no room.
func (g *group) join(p pendingCall) bool {
	if len(g.more) == groupRoom {
		return false
	}
	g.more = append(g.more, p)
	return true
}

// newest returns the call that came last, if that is the one with a number; nil if it is not: it had no room.
func (g *group) newest(requests uint64) *pendingCall {
	p := &g.call
	if n := len(g.more); n > 0 {
		p = &g.more[n-1]
	}
	if p.call.Requests != requests {
		return nil
	}
	return p
}

// again notes what a later look at the same call said: another phase, or a retry.
func (p *pendingCall) again(later *pendingCall) {
	was := p.call
	p.call, p.result = later.call, later.result
	if p.call.Route.Consumer == "" { // it is known from the second phase on, and does not get lost again
		p.call.Route.Consumer = was.Route.Consumer
	}
	if p.call.FlagAbove == 0 { // of two plugins one may say it
		p.call.FlagAbove = was.FlagAbove
	}
}

// look brings the group's figures and moments up to the record: its exchanges end with the given one, which is the current
// one or the one before the next call's.
func (g *group) look(r *flow.Record, last uint32) {
	g.seen = marksNow(r)
	if next, ok := r.At(last + 1); ok {
		g.seen = marksBefore(next)
	}
	g.takeMoments(r, last)
	g.after = troubleNow(r)
	g.rtt.take(r)
}

// takeMoments reads the times of the exchanges that the record still holds. A call's response begins in its last exchange,
// because what came before answered a part of the request (100 Continue); after a change of protocol, in its first.
func (g *group) takeMoments(r *flow.Record, last uint32) {
	near := r.Conn.Last
	for n := max(g.first, r.Oldest()); n <= last; n++ {
		e, ok := r.At(n)
		if !ok {
			break
		}
		if g.at.FirstRequest == 0 {
			g.at.FirstRequest = e.First[flow.RX].Time(near)
		}
		if g.call.call.Upgrade && g.at.FirstResponse != 0 {
			g.at.LastResponse = max(g.at.LastResponse, e.Last[flow.TX].Time(near))
			continue
		}
		g.at.LastRequest = max(g.at.LastRequest, e.Last[flow.RX].Time(near))
		if begun := e.First[flow.TX].Time(near); begun != 0 {
			g.at.FirstResponse = begun
		}
		g.at.LastResponse = max(g.at.LastResponse, e.Last[flow.TX].Time(near))
	}
	g.at.Acknowledged = 0
	if g.seen[flow.TX].packets == g.start[flow.TX].packets {
		return // there is no response: what was acknowledged is an earlier one
	}
	if rx := &r.Conn.Dir[flow.RX]; rx.Known&flow.KnownAck != 0 && int32(rx.AckHigh-g.seen[flow.TX].seq) >= 0 {
		g.at.Acknowledged = max(rx.AckedTime(near), g.at.LastResponse)
	}
}

// answered says whether a response has begun, as far as was seen.
func (g *group) answered() bool { return g.at.FirstResponse != 0 }
