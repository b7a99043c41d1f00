package bpf

import "fivetuple/correlator/flow"

// dismisses reports whether the receiver of a segment drops it while the connection is half-open, by RFC 9293: 3.10.7.3 for
// who has sent a SYN, 3.10.7.4 for who has answered one. Before that it finds out which of several SYNs, or SYN-ACKs, the
// segment is about.
func (c *modelConn) dismisses(p *wirePacket) bool {
	var dismissed bool
	switch {
	case p.has(syn | ack | rst):
	case p.has(syn | ack):
		dismissed = c.answers(p)
	case p.has(syn):
		dismissed = c.opens(p)
	case p.has(ack) && !p.has(rst):
		c.confirms(p)
	}
	return dismissed || p.has(syn) && c.neverSent(p)
}

// hasISN reports whether a direction's ISN is known, if only from the answer.
func (c *modelConn) hasISN(dir int) bool { return c.knows(dir, flow.KnownISN|flow.KnownAckedISN) }

// opens takes a SYN. Of this host's, one with another ISN begins another connection; so does one of the peer's as long as
// this host has answered none. When it has, only its SYN-ACK says that it did forget the first.
func (c *modelConn) opens(p *wirePacket) (stray bool) {
	d := &c.Dir[p.dir]
	if !c.hasISN(p.dir) || d.ISN == p.seq {
		return false
	}
	switch {
	case p.dir == flow.TX:
		c.beginAgain(p.now, flow.OtherSYN{})
	case c.knows(flow.TX, flow.KnownISN):
		if r := &c.rivals[flow.RX]; r.Time == 0 || r.ISN != p.seq {
			*r = flow.OtherSYN{Time: p.now, ISN: p.seq}
		}
		return true
	default:
		c.beginAgain(p.now, asRival(d, c.SYN))
	}
	return false
}

// beginAgain makes the entry another connection's, with the SYN of the last one as the rival. Counts go on.
func (c *modelConn) beginAgain(now uint64, rival flow.OtherSYN) {
	c.ID, c.SYN, c.SYNACK, c.ACK = now, 0, 0, 0
	for dir := range c.Dir {
		c.Dir[dir].Known, c.Dir[dir].Ifindex = 0, 0
	}
	c.rivals = [2]flow.OtherSYN{flow.RX: rival}
	c.rtt.Sent, c.rtt.Newest = 0, 0
}

// answers takes a SYN-ACK.
func (c *modelConn) answers(p *wirePacket) (stray bool) {
	if p.dir == flow.RX && c.knows(flow.TX, flow.KnownISN) && !c.acknowledgesSYN(p) {
		return true // of no SYN of this host's
	}
	if rival := c.rivals[flow.RX]; p.dir == flow.TX && c.hasISN(flow.RX) && !c.acknowledgesSYN(p) {
		var last flow.OtherSYN // this host has forgotten the SYN that counted until now
		if c.knows(flow.RX, flow.KnownISN) {
			last = asRival(&c.Dir[flow.RX], c.SYN)
		}
		c.beginAgain(p.now, last)
		if rival.Time != 0 && rival.ISN+1 == p.ack {
			c.ID, c.SYN = rival.Time, rival.Time
			c.adopt(flow.RX, rival)
			c.Dir[flow.RX].Known |= flow.KnownOpener
		}
	}
	d, rival := &c.Dir[p.dir], &c.rivals[p.dir]
	switch {
	case !c.knows(p.dir, flow.KnownISN) || d.ISN == p.seq:
	case c.SYNACK == 0 || c.knows(p.dir, flow.KnownOpener):
		d.Known &^= flow.KnownOpener
	case rival.Time != 0 && rival.ISN == p.seq:
		c.swap(p.dir)
	default:
		if rival.Time == 0 {
			*rival = asRival(d, c.SYNACK)
		}
		c.SYNACK = 0
		c.rtt.Sent, c.rtt.Newest = 0, 0
	}
	return false
}

// confirms takes an acknowledgement: perhaps it is of the first of several SYN-ACKs.
func (c *modelConn) confirms(p *wirePacket) {
	from := 1 - p.dir
	if r := c.rivals[from]; r.Time != 0 && p.ack == r.ISN+1 && !c.knows(from, flow.KnownOpener) && !c.acknowledgesSYN(p) {
		c.swap(from)
	}
}

// acknowledgesSYN reports whether a segment acknowledges the other side's SYN, and nothing that did not follow it.
func (c *modelConn) acknowledgesSYN(p *wirePacket) bool {
	other := &c.Dir[1-p.dir]
	end := other.ISN + 1
	if c.knows(1-p.dir, flow.KnownISN) {
		end = other.SeqHigh
	}
	return below(other.ISN, p.ack) && !below(end, p.ack)
}

func (c *modelConn) swap(dir int) {
	last := asRival(&c.Dir[dir], c.SYNACK)
	c.SYNACK = c.rivals[dir].Time
	c.adopt(dir, c.rivals[dir])
	c.rivals[dir] = last
	c.rtt.Sent, c.rtt.Newest = 0, 0 // what was timed had the other's numbers
}

func (c *modelConn) adopt(dir int, r flow.OtherSYN) {
	d := &c.Dir[dir]
	d.ISN, d.SeqHigh, d.DataHigh = r.ISN, r.ISN+1, r.ISN+1
	d.SYNMSS, d.SYNWscale, d.SYNOptions = r.MSS, r.Wscale, r.Options
	d.Known |= flow.KnownISN | flow.KnownSeq
	c.missing[dir].restart(d.SeqHigh)
}

func asRival(d *flow.Direction, time uint64) flow.OtherSYN {
	return flow.OtherSYN{Time: time, ISN: d.ISN, MSS: d.SYNMSS, Wscale: d.SYNWscale, Options: d.SYNOptions}
}
