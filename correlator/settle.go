package correlator

import "fivetuple/correlator/flow"

// begin takes a new call in: into the open group if it shares that one's exchanges, else into a group of its own, before
// which the open one ends. CLAIMED is the last exchange that a call before it has a part in.
func (c *Correlator) begin(s *shard, key flow.Key, conn *connection, r *flow.Record, p pendingCall, claimed uint32) {
	g := &conn.group
	first, start := conn.firstExchange(r, &p.result, claimed), conn.closed
	if p.result.Match == MatchConnection {
		// The call before it ends here, and so that is where this one starts.
		if !conn.hadCall && conn.before.unseen {
			start = marksNow(r) // what came before may be in another runner's records
		}
		if g.open {
			g.look(r, r.Exchange)
			start = g.seen
			c.close(s, conn, r.Exchange, false, p.plugin)
		}
	} else if e, ok := r.At(first); ok && first > claimed {
		start = marksBefore(e)
		if g.open {
			g.missed = conn.missed
			c.settle(s, conn, r, first-1, p.plugin)
		} else if conn.hadCall {
			c.counters.lateBytes.Add(start[flow.TX].payload - conn.closed[flow.TX].payload)
		}
	} else if g.open {
		g.missed += conn.missed
		if !g.join(p) {
			c.counters.crowded.Add(1)
		}
		return
	} else {
		start = marksNow(r) // its bytes came with an earlier call's, which has been closed
	}
	conn.hadCall = true
	g.begin(r, first, start, p)
	s.wait(key, conn, p.plugin+c.wait())
}

// firstExchange returns the number of the first exchange that is counted for a call. What lies between it and the last one
// claimed belongs to the call before, or to calls that met no plugin.
func (conn *connection) firstExchange(r *flow.Record, res *Result, claimed uint32) uint32 {
	if res.Match == MatchShared && !res.TLS && conn.missed == 0 && res.Number > claimed && !conn.before.unseen {
		return max(claimed+1, r.Oldest())
	}
	return res.Number
}

// unmatched makes the record of a call whose connection has none.
func (c *Correlator) unmatched(call *Call, res Result, now uint64) {
	c.counters.finished.Add(1)
	if c.sink == nil {
		return
	}
	record := CallRecord{FlowID: res.FlowID, At: Moments{Plugin: now}}
	record.take(&pendingCall{call: *call, result: res})
	c.sink(&record)
}

// settle closes an open group by the record: its last exchange is the given one. The records of its calls go to the sink.
func (c *Correlator) settle(s *shard, conn *connection, r *flow.Record, last uint32, now uint64) {
	g := &conn.group
	g.look(r, last)
	c.close(s, conn, last, false, now)
}

// cut closes an open group whose end was not seen, with what is known of it.
func (c *Correlator) cut(s *shard, conn *connection) {
	c.close(s, conn, conn.group.first, true, 0) // it teaches nothing
}

func (c *Correlator) close(s *shard, conn *connection, last uint32, cut bool, now uint64) {
	g := &conn.group
	if !g.open {
		return
	}
	g.open = false
	conn.closed = g.seen
	c.counters.finished.Add(uint64(1 + len(g.more)))
	if cut {
		c.counters.cut.Add(uint64(1 + len(g.more)))
	}
	if c.sink == nil && c.judge == nil {
		return
	}
	record := &s.record
	*record = CallRecord{FlowID: conn.flowID, FlowStart: conn.flow, Cut: cut, RTT: g.rtt, First: g.first, Last: max(last, g.first)}
	record.take(&g.call)
	for dir, t := range [...]*Traffic{&record.Request, &record.Response} {
		t.Span = g.start[dir].to(g.seen[dir])
		t.Retransmitted = g.after[dir].retransmitted - g.before[dir].retransmitted
		t.OutOfOrder = g.after[dir].outOfOrder - g.before[dir].outOfOrder
		t.ZeroWindow = g.after[dir].zeroWindow - g.before[dir].zeroWindow
		t.Duplicates = uint32(g.after[dir].duplicates - g.before[dir].duplicates)
		t.Waited = uint64(g.after[dir].waited-g.before[dir].waited) * 1_000_000
		t.WindowUpdates = uint32(g.after[dir].windowUpdates - g.before[dir].windowUpdates)
	}
	record.At = g.at
	record.name(g)
	record.Split = split(record)
	if record.Judged {
		c.judge.end(&s.judged, conn, record, now)
	}
	c.give(record)
	for i := range g.more {
		*record = CallRecord{FlowID: conn.flowID, FlowStart: conn.flow, Cut: cut, RTT: g.rtt}
		record.take(&g.more[i])
		record.Match = MatchShared
		record.At.Plugin = g.more[i].plugin
		if record.Judged {
			record.flag(&g.more[i].call, c.judge.FlagAbove)
		}
		c.give(record)
	}
}

func (c *Correlator) give(record *CallRecord) {
	if c.sink != nil {
		c.sink(record)
	}
}

// take fills in what was known when the call's plugin ran.
func (record *CallRecord) take(p *pendingCall) {
	record.Identity, record.Tuple = p.call.Identity, p.call.Tuple
	res := &p.result
	record.Match, record.Reason, record.Missed = res.Match, res.Reason, res.Missed
	record.LengthUnknown, record.TLS, record.Handshake = res.LengthUnknown, res.TLS, res.Handshake
	record.Judged, record.Facts = res.Judged, res.Facts
}

// name says what the figures are, now that the end is known: the call's alone, or others' too.
func (record *CallRecord) name(g *group) {
	if record.Match != MatchExchange {
		return
	}
	call := &g.call.call
	expected, length := call.RequestLength+call.ContentLength, uint64(record.Request.Length)
	record.Upgraded = call.Upgrade && !record.TLS && length > expected && g.missed == 0 && len(g.more) == 0
	switch {
	case g.missed > 0:
		record.Match, record.Missed = MatchShared, g.missed
	case len(g.more) > 0:
		record.Match = MatchShared
	case record.TLS, record.LengthUnknown, record.Upgraded:
	case length < expected:
		record.Partial = true
	case length > expected+lineBreak:
		record.Match = MatchShared
	}
}
