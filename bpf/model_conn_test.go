package bpf

import "fivetuple/correlator/flow"

// modelConn is a connection, with what the kernel keeps elsewhere or need not remember.
type modelConn struct {
	flow.Conn
	missing [2]modelHoles
	tracked *holeTable // nil: holes are not remembered
	rivals  [2]flow.OtherSYN
	rtt     flow.RoundTrip
}

func (c *modelConn) knows(dir int, what uint8) bool { return c.Dir[dir].Known&what != 0 }

// owns says whether the packet came over the interface that its direction counts on. The first one is, and then one that
// is ahead of it.
func (c *modelConn) owns(p *wirePacket) bool {
	d := &c.Dir[p.dir]
	if d.Ifindex != 0 && d.Ifindex != p.ifindex {
		data := c.knows(p.dir, flow.KnownSeq) && below(d.SeqHigh, p.end())
		acknowledges := c.knows(p.dir, flow.KnownAck) && p.has(ack) && below(d.AckHigh, p.ack) && !c.neverSent(p)
		if !data && !acknowledges {
			return false
		}
		c.Moved++
	}
	d.Ifindex = p.ifindex
	return true
}

// neverSent reports whether the peer acknowledges sequence numbers that this host has not sent (RFC 9293, 3.10.7.4). Where
// something that was sent may not have been seen, it is given the benefit of the doubt.
func (c *modelConn) neverSent(p *wirePacket) bool {
	tx := &c.Dir[flow.TX]
	switch {
	case p.dir != flow.RX || !p.has(ack) || !c.knows(flow.TX, flow.KnownSeq):
		return false
	case c.knows(flow.TX, flow.KnownLacking) || tx.Holes > 0 || tx.HolesForgotten > 0:
		return false
	}
	return below(tx.SeqHigh, p.ack)
}

// stray counts a segment that its receiver drops.
func (c *modelConn) stray(p *wirePacket) {
	first := c.Dir[p.dir]
	c.count(p)
	d := &c.Dir[p.dir]
	d.TTL, d.FirstLen, d.FirstPayload = first.TTL, first.FirstLen, first.FirstPayload
	d.Flags |= p.flags &^ ack
}

// count is what TCP and UDP have in common.
func (c *modelConn) count(p *wirePacket) {
	d := &c.Dir[p.dir]
	if d.Packets == 0 {
		d.TTL = p.ttl
	}
	d.Packets += uint64(p.count())
	d.Bytes += uint64(p.bytes())
	d.Payload += uint64(p.payload)
	if p.payload > 0 {
		d.DataPackets += uint32(p.count())
		d.DataHeaders += uint32(p.count() * p.headers)
		if d.FirstLen == 0 {
			d.FirstLen = uint8(copy(d.FirstPayload[:], p.first))
		}
	}
	c.Last = p.now
}

// news is what a segment brought.
type news struct {
	start     bool   // the direction's sequence began, perhaps again
	old       bool   // a segment below the highest sequence
	ahead     bool   // a sequence above the highest
	data      bool   // payload above the highest
	dataStart uint32 // where that began, or is going to
	forged    bool   // it acknowledges what was never sent
}

// segment counts a TCP segment.
func (c *modelConn) segment(p *wirePacket) (n news) {
	d, other := &c.Dir[p.dir], &c.Dir[1-p.dir]
	if n.forged = c.neverSent(p); n.forged {
		doubted := *p
		doubted.flags &^= ack
		p = &doubted
		if p.has(syn) {
			c.stray(p)
			return n
		}
	}
	c.handshake(p)
	c.count(p)
	if !p.has(rst) {
		forged := n.forged
		n = c.sequence(p)
		n.forged = forged
	}
	if n.data && c.State == flow.StateClosed && d.Flags&rst != 0 {
		c.State = flow.StateOpen // who has sent a RST sends nothing new
	}
	d.Flags |= p.flags
	if p.dir == flow.RX && p.flags&(syn|fin|rst|ack) == ack {
		opens := p.payload == 0 && c.knows(p.dir, flow.KnownAck) && p.ack == d.AckHigh && int(p.window) > 2*int(c.RXWindow) &&
			int(c.RXWindow)<<(d.SYNWscale&15) < 4096
		if opens && c.WindowUpdates < 0xffff {
			c.WindowUpdates++
		}
		c.RXWindow = p.window
	}
	if p.has(ack) && !p.has(rst) && (!c.knows(p.dir, flow.KnownAck) || below(d.AckHigh, p.ack)) {
		if !c.knows(p.dir, flow.KnownAck) || below(d.AckHigh, other.DataHigh) {
			d.Acked = uint32(p.now >> 10)
		}
		d.AckHigh = p.ack
		d.Known |= flow.KnownAck
	}
	if p.window == 0 && p.flags&(syn|fin|rst) == 0 {
		d.ZeroWindow += uint32(p.count())
	}
	if c.State == flow.StateOpen && (p.has(rst) || p.has(fin) && other.Flags&fin != 0) {
		c.State = flow.StateClosed
	}
	return n
}

// handshake notes the times of the first SYN, the first SYN-ACK, and the first segment that acknowledges it.
func (c *modelConn) handshake(p *wirePacket) {
	d, other := &c.Dir[p.dir], &c.Dir[1-p.dir]
	switch {
	case p.has(rst):
	case p.has(syn | ack):
		if c.SYNACK == 0 {
			c.SYNACK = p.now
		}
		if !c.knows(1-p.dir, flow.KnownISN) {
			other.ISN = p.ack - 1
			other.Known |= flow.KnownAckedISN
		}
	case p.has(syn):
		if c.SYN == 0 {
			c.SYN = p.now
		}
		d.Known |= flow.KnownOpener
	case c.knows(1-p.dir, flow.KnownOpener): // nobody answers an opening SYN by an ACK that is the third step
	case p.has(ack) && c.SYNACK != 0 && c.ACK == 0 && c.knows(1-p.dir, flow.KnownISN):
		if !below(p.ack, other.ISN+1) {
			c.ACK = p.now
		}
	}
}

// sequence follows the sequence numbers.
func (c *modelConn) sequence(p *wirePacket) (n news) {
	d := &c.Dir[p.dir]
	repeats := c.knows(p.dir, flow.KnownISN) && d.ISN == p.seq
	switch {
	case p.has(syn) && !repeats:
		d.Known |= flow.KnownISN | flow.KnownSeq
		d.Known &^= flow.KnownLacking
		d.ISN, d.DataHigh, d.TTL = p.seq, p.seq+1, p.ttl
		d.SYNMSS, d.SYNWscale, d.SYNOptions = synFacts(p.options)
		n.start = true
	case !c.knows(p.dir, flow.KnownSeq):
		d.Known |= flow.KnownSeq | flow.KnownLacking // of what came before nothing is known
		d.DataHigh = p.seq
		n.start = true
	case p.length() <= 1 && p.flags&(syn|fin) == 0 && p.seq+1 == d.SeqHigh:
		d.KeepAlive++
		return n
	}
	if n.start {
		c.forgetHoles(p.dir)
		c.missing[p.dir].restart(p.seq)
		d.SeqHigh = p.seq
		n.dataStart = d.DataHigh
	}
	if p.length() == 0 {
		if below(d.SeqHigh, p.seq) { // something was sent before it that was not seen
			d.Known |= flow.KnownLacking
		}
		return n
	}
	n.old = c.order(p)
	if n.ahead = below(d.SeqHigh, p.end()); n.ahead {
		d.SeqHigh = p.end()
		if !n.start {
			d.Known &^= flow.KnownLacking
		}
		c.rise(p)
	}
	if p.payload > 0 && below(d.DataHigh, p.dataEnd()) {
		n.data, n.dataStart = n.ahead, d.DataHigh // behind a FIN that came early it is no news
		d.DataHigh = p.dataEnd()
	}
	return n
}

// synFacts reads a SYN's options up to where they end or make no sense (RFC 9293, 3.2).
func synFacts(options octets) (mss uint16, wscale, seen uint8) {
	for len(options.data) > 0 && options.data[0] != 0 {
		o := options.data
		if o[0] == 1 {
			options = options.skip(1)
			continue
		}
		if len(o) < 2 || o[1] < 2 || int(o[1]) > options.length {
			break
		}
		length := int(o[1])
		o = o[:min(length, len(o))]
		switch {
		case o[0] == 2 && length == 4 && len(o) == 4:
			mss, seen = uint16(u16(o[2:])), seen|synMSS
		case o[0] == 3 && length == 3 && len(o) == 3:
			wscale, seen = o[2], seen|synWscale
		case o[0] == 4 && length == 2:
			seen |= synSACK
		case o[0] == 8 && length == 10:
			seen |= synTimestamps
		}
		options = options.skip(length)
	}
	return mss, wscale, seen
}
