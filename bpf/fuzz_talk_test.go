package bpf

// segment returns the next one: of a handshake that is under way, or what two hosts on a bad network send.
func (c *randomTalk) segment() planned {
	if c.one(150) {
		c.open()
	}
	if c.one(400) {
		c.reuse()
	}
	if len(c.planned) > 0 && !c.one(10) {
		s := c.planned[0]
		c.planned = c.planned[1:]
		return s
	}
	s := c.move(c.random.IntN(2))
	if c.one(50) {
		s.flags ^= 1 << c.random.IntN(9)
	}
	if c.one(30) {
		s.window = -1
	}
	if c.one(8) && s.flags&syn == 0 {
		s.options = c.report(&s)
	}
	if end := s.end(); below(c.next[s.dir], end) && end-c.next[s.dir] < 1<<20 {
		c.next[s.dir] = end
	}
	return s
}

func (s *planned) end() uint32 {
	end := s.seq + uint32(len(s.payload))
	if s.flags&syn != 0 {
		end++
	}
	if s.flags&fin != 0 {
		end++
	}
	return end
}

// open plans the next connection's beginning.
func (c *randomTalk) open() {
	c.isns = [2]uint32{c.isn(), c.isn()}
	c.next = [2]uint32{c.isns[0] + 1, c.isns[1] + 1}
	c.missing = [2][]span{}
	c.lossy = c.one(3)
	a := c.random.IntN(2) // who begins
	first, answer := c.syn(a, 0), c.syn(1-a, ack)
	done := c.ack(a)
	c.early = c.payload()
	plans := [][]planned{
		{first, answer, done},
		{first, answer, done},
		{first, answer, done},
		{first, first, answer, answer, done}, // repeated
		{answer, done},                       // SYN cookies, or the SYN was not seen
		{first, c.reset(1 - a)},
		{first, c.syn(1-a, 0), answer, c.syn(a, ack)}, // simultaneous open
		{first, c.ack(1 - a), c.syn(1-a, 0), c.syn(a, ack), c.ack(1 - a)}, // split handshake
		{first, c.forged(c.syn(1-a, ack)), answer, done},                  // a SYN-ACK of nothing
		{first, answer, c.forged(done), done},
		{first, answer, c.stray(a, 0), done}, // while it is half-open
		{first, answer, c.stray(a, 0), answer, done},
		{first, c.stray(a, 0), c.stray(a, 0), answer, done},
		c.chosen(a),
		{c.stray(1-a, ack), answer, done}, // a SYN-ACK with another ISN
		{first, c.stray(1-a, ack), answer, done},
		{first, c.stray(1-a, ack), c.stray(1-a, ack), answer, answer, done},
		{first, answer, c.stray(1-a, ack), answer, done},
		{first, answer, c.stray(1-a, ack), c.stray(1-a, ack), done},
		{first, {1 - a, segment{flags: ack, seq: c.random.Uint32(), ack: 7}}}, // challenge ACK
		{first},
	}
	c.planned = plans[c.random.IntN(len(plans))]
	if !c.one(4) {
		return
	}
	data := planned{a, segment{flags: syn, seq: c.isns[a], payload: c.early}}
	for i := range c.planned {
		if c.planned[i].flags == syn && c.planned[i].dir == a {
			c.planned[i].payload = c.early
		}
		if c.planned[i].flags == syn|ack && c.planned[i].dir != a && c.one(2) {
			c.planned[i].ack = data.end()
		}
	}
	c.next[a] = data.end()
}

// reuse plans the end of the connection, and another on its 5-tuple, perhaps with the same ISNs; then perhaps a RST with text.
func (c *randomTalk) reuse() {
	a := c.random.IntN(2)
	bye, again := c.ack(a), c.ack(1-a)
	bye.flags, again.flags = fin|ack, fin|ack
	again.ack++
	c.planned = []planned{bye, again}
	if c.one(3) {
		c.planned = []planned{c.reset(a)}
	}
	if c.one(3) { // a stray one before the end
		c.planned = append([]planned{c.stray(a, c.random.IntN(2)*ack)}, c.planned...)
		c.planned = append(c.planned, c.ack(a), c.reset(1-a))
	}
	if c.one(2) {
		c.isns[1-a] = c.isn()
	}
	c.next = [2]uint32{c.isns[0] + 1, c.isns[1] + 1}
	text := c.reset(a)
	text.payload = c.payload()
	early := c.ack(1 - a)
	early.payload = c.payload() // before the third step
	c.planned = append(c.planned, [][]planned{
		{c.syn(a, 0), c.syn(1-a, ack), c.ack(a)},
		{c.syn(a, 0), c.syn(1-a, ack), early, c.ack(a)},
		{c.syn(a, 0), text},
		{c.stray(1-a, ack), bye, again, c.ack(a)},
		{c.syn(a, 0), c.reset(1 - a)},
	}[c.random.IntN(5)]...)
}

func (c *randomTalk) syn(dir, flags int) planned {
	s := planned{dir, segment{flags: syn | flags, seq: c.isns[dir]}}
	if flags&ack != 0 {
		s.ack = c.isns[1-dir] + 1
	}
	if c.one(2) {
		o := c.options[c.random.IntN(len(c.options))].options
		s.options = append(s.options, o...)
		for len(s.options)%4 != 0 {
			s.options = append(s.options, 0)
		}
	}
	return s
}

// stray returns a SYN, or a SYN-ACK, with another ISN than the connection's.
func (c *randomTalk) stray(dir, flags int) planned {
	s := c.syn(dir, flags)
	s.seq = c.isn()
	return s
}

// chosen returns two SYNs of which the second is answered.
func (c *randomTalk) chosen(a int) []planned {
	stray := c.stray(a, 0)
	plan := []planned{stray, c.syn(1-a, ack), c.syn(a, 0), c.syn(1-a, ack), c.ack(a)}
	plan[1].seq, plan[1].ack = c.isn(), stray.seq+1
	return plan
}

// forged returns a segment with an acknowledgement number, and perhaps a sequence number, that nobody has seen.
func (c *randomTalk) forged(s planned) planned {
	s.ack += []uint32{1, 1_000_000, 1 << 30, ^uint32(0), c.random.Uint32()}[c.random.IntN(5)]
	if c.one(2) {
		s.seq = c.random.Uint32()
	}
	return s
}

func (c *randomTalk) ack(dir int) planned {
	return planned{dir, segment{flags: ack, seq: c.next[dir], ack: c.next[1-dir]}}
}

func (c *randomTalk) reset(dir int) planned {
	return planned{dir, segment{flags: rst | ack, seq: c.next[dir], ack: c.next[1-dir]}}
}

// move is what a side of a connection may do next.
func (c *randomTalk) move(dir int) planned {
	s := c.ack(dir)
	switch {
	case c.one(10):
		s.ack += uint32(c.random.IntN(2000)) - 1500
	case c.one(60): // forged: acknowledges what was never sent
		s.ack += 1 << c.random.IntN(32)
	}
	gap := 80
	if c.lossy {
		gap = 400
	}
	switch n := c.random.IntN(1000); {
	case n < gap:
		left := span{s.seq, uint32(1 + c.random.IntN(30))}
		if c.one(3) {
			left.length = uint32(1 + c.random.IntN(3000))
		}
		c.missing[dir] = append(c.missing[dir], left)
		s.seq += left.length
		s.payload = c.payload()
	case n < gap+180:
		c.fill(&s)
	case n < gap+260:
		s.seq -= uint32(c.random.IntN(4000))
		s.payload = c.payload()
	case n < gap+290:
		s.seq--
		s.payload = c.noise[:c.random.IntN(2)]
	case n < gap+310:
		s.flags |= fin
	case n < gap+315:
		s = c.reset(dir)
		s.payload = c.noise[:c.random.IntN(2)*5]
	case n < gap+322:
		s = c.syn(dir, c.random.IntN(2)*ack)
		if c.one(2) {
			s.payload = c.early
			s.flags |= c.random.IntN(2) * fin
		}
	case n < gap+325:
		s.flags, s.seq = syn, c.random.Uint32()
	case n < gap+327:
		s.seq = c.random.Uint32()
	case n < gap+400:
	default:
		s.payload = c.payload()
		s.flags |= psh
	}
	return s
}

// fill sends something of what was left out: all of it, a part, or more.
func (c *randomTalk) fill(s *planned) {
	missing := &c.missing[s.dir]
	s.payload = c.payload()
	if len(*missing) == 0 {
		return
	}
	i := c.random.IntN(len(*missing))
	left := (*missing)[i]
	s.seq = left.start + uint32(c.random.IntN(int(left.length)+20)) - 10
	if c.one(2) {
		s.seq = left.start
		s.payload = c.noise[:left.length]
		*missing = append((*missing)[:i], (*missing)[i+1:]...)
	}
}
