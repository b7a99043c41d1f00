package bpf

import "fivetuple/correlator/flow"

func (c *modelConn) knows(dir int, what uint8) bool { return c.Dir[dir].Known&what != 0 }

// owns says whether the packet came over the interface that its direction counts on. The first one is, and then one that
// is ahead of it.
func (c *modelConn) owns(p *wirePacket) bool {
	d := &c.Dir[p.dir]
	if d.Ifindex != 0 && d.Ifindex != p.ifindex {
		data := c.knows(p.dir, flow.KnownSeq) && before(d.SeqHigh, p.end())
		acknowledges := c.knows(p.dir, flow.KnownAck) && p.has(ack) && before(d.AckHigh, p.ack)
		if !data && !acknowledges {
			return false
		}
		c.Moved++
	}
	d.Ifindex = p.ifindex
	return true
}

// count is what TCP and UDP have in common.
func (c *modelConn) count(p *wirePacket) {
	d := &c.Dir[p.dir]
	if d.Packets == 0 {
		d.TTL = p.ttl
	}
	d.Packets += uint64(p.count())
	d.Bytes += uint64(p.bytes())
	d.Payload += uint64(len(p.payload))
	if len(p.payload) > 0 {
		d.DataPackets += p.count()
		d.DataHeaders += p.count() * uint32(p.headers)
		if d.FirstLen == 0 {
			d.FirstLen = uint8(copy(d.FirstPayload[:], p.payload))
		}
	}
	c.Last = p.now
}

// news is what a segment brought.
type news struct {
	start     bool   // the direction's sequence began, perhaps again
	old       bool   // a segment below the highest sequence
	data      bool   // payload above the highest
	dataStart uint32 // where that began
}

// segment counts a TCP segment.
func (c *modelConn) segment(p *wirePacket) (n news) {
	d, other := &c.Dir[p.dir], &c.Dir[1-p.dir]
	c.handshake(p)
	c.count(p)
	if !p.has(rst) {
		n = c.sequence(p)
	}
	if n.data && c.State == flow.StateClosed && d.Flags&rst != 0 {
		c.State = flow.StateOpen // who has sent a RST sends nothing new
	}
	d.Flags |= p.flags
	if p.has(ack) && !p.has(rst) && (!c.knows(p.dir, flow.KnownAck) || before(d.AckHigh, p.ack)) {
		d.AckHigh = p.ack
		d.Known |= flow.KnownAck
	}
	if p.window == 0 && p.flags&(syn|fin|rst) == 0 {
		d.ZeroWindow += p.count()
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
	case p.has(syn):
		if c.SYN == 0 {
			c.SYN = p.now
		}
	case p.has(ack) && c.SYNACK != 0 && c.ACK == 0 && c.knows(1-p.dir, flow.KnownISN):
		covers := func(ack uint32) bool { return !before(ack, other.ISN+1) }
		// Who sent the SYN-ACK has acknowledged the other's SYN by it.
		if covers(p.ack) && !(c.knows(p.dir, flow.KnownAck) && covers(d.AckHigh)) {
			c.ACK = p.now
		}
	}
}

// sequence follows the sequence numbers.
func (c *modelConn) sequence(p *wirePacket) (n news) {
	d := &c.Dir[p.dir]
	switch {
	case p.has(syn) && !(c.knows(p.dir, flow.KnownISN) && d.ISN == p.seq):
		d.ISN, d.SeqHigh, d.DataHigh = p.seq, p.seq, p.seq+1
		d.Known |= flow.KnownISN | flow.KnownSeq
		d.TTL = p.ttl
		d.SYNMSS, d.SYNWscale, d.SYNOptions = synFacts(p.options)
		n.start = true
	case !c.knows(p.dir, flow.KnownSeq):
		d.SeqHigh, d.DataHigh = p.seq, p.seq
		d.Known |= flow.KnownSeq
		n.start = true
	case p.length() <= 1 && p.flags&(syn|fin) == 0 && p.seq+1 == d.SeqHigh:
		d.KeepAlive++
		return n
	}
	if n.start {
		c.start[p.dir] = d.DataHigh
	}
	if p.length() == 0 {
		return n
	}
	if n.old = before(p.seq, d.SeqHigh); n.old {
		d.Retransmitted += p.below(d.SeqHigh)
	}
	if before(d.SeqHigh, p.end()) {
		d.SeqHigh = p.end()
	}
	if data := p.dataEnd(); len(p.payload) > 0 && before(d.DataHigh, data) {
		n.data, n.dataStart = true, d.DataHigh
		d.DataHigh = data
	}
	return n
}

// dataEnd is the end of the payload: a SYN comes before it, a FIN behind.
func (p *wirePacket) dataEnd() uint32 {
	if p.has(fin) {
		return p.end() - 1
	}
	return p.end()
}

// below returns how many segments begin below a sequence number.
func (p *wirePacket) below(high uint32) (n uint32) {
	at := p.seq
	for _, payload := range p.segments {
		if before(at, high) {
			n++
		}
		at += uint32(payload)
	}
	return n
}

// synFacts reads a SYN's options up to where they end or make no sense (RFC 9293, 3.2).
func synFacts(options []byte) (mss uint16, wscale, seen uint8) {
	for len(options) > 0 && options[0] != 0 {
		if options[0] == 1 {
			options = options[1:]
			continue
		}
		if len(options) < 2 || options[1] < 2 || int(options[1]) > len(options) {
			break
		}
		o := options[:options[1]]
		switch {
		case o[0] == 2 && len(o) == 4:
			mss, seen = uint16(u16(o[2:])), seen|synMSS
		case o[0] == 3 && len(o) == 3:
			wscale, seen = o[2], seen|synWscale
		case o[0] == 4 && len(o) == 2:
			seen |= synSACK
		case o[0] == 8 && len(o) == 10:
			seen |= synTimestamps
		}
		options = options[len(o):]
	}
	return mss, wscale, seen
}
