package bpf

import (
	"math/rand/v2"
	"net/netip"
	"slices"

	"fivetuple/correlator/flow"
)

// traffic makes packets: of a few connections, so that each is met often, at every stage, and spoiled in every way.
type traffic struct {
	random  *rand.Rand
	talks   []*randomTalk
	options []synOptions
	noise   string // what payloads are cut from
	now     uint64
	held    []*input // packets that others overtake
	capture bool     // some packets lack their ends
}

func newTraffic(seed uint64, capture bool) *traffic {
	t := &traffic{
		random: rand.New(rand.NewPCG(seed, 0)), options: synOptionCases(), now: 1_000_000_000, capture: capture,
	}
	noise := make([]byte, 8192)
	for i := range noise {
		noise[i] = byte(t.random.Uint32())
	}
	t.noise = string(noise)
	for i := range 12 {
		local, remote := "10.0.0.1", "10.0.0.2"
		switch i % 4 {
		case 1:
			local, remote = "2001:db8::1", "2001:db8::2"
		case 2: // the same keys as those of IPv4
			local, remote = "::ffff:10.0.0.1", "::ffff:10.0.0.2"
		}
		t.talks = append(t.talks, &randomTalk{
			traffic: t, udp: i%6 == 5, ifindex: 1, next: [2]uint32{t.isn(), t.isn()},
			tuple: tuple{
				netip.AddrPortFrom(netip.MustParseAddr(local), 80),
				netip.AddrPortFrom(netip.MustParseAddr(remote), uint16(50000+i/6)),
			},
		})
	}
	return t
}

func (t *traffic) one(in int) bool { return t.random.IntN(in) == 0 }

// fuzzInterfaces are the indices of the interfaces: the loopback's, and two more.
func fuzzInterfaces() []uint32 { return []uint32{1, 1001, 1002} }

func (t *traffic) anyInterface() uint32 { return fuzzInterfaces()[t.random.IntN(3)] }

// isn returns an initial sequence number, half of them close to the wrap or to where the sign changes.
func (t *traffic) isn() uint32 {
	switch t.random.IntN(4) {
	case 0:
		return -uint32(t.random.IntN(5000))
	case 1:
		return 1<<31 - uint32(t.random.IntN(5000))
	}
	return t.random.Uint32()
}

// packet returns the next packet.
func (t *traffic) packet() *input {
	t.tick()
	if len(t.held) > 0 && t.one(3) {
		in := t.held[0]
		t.held = t.held[1:]
		in.now = t.now
		return in
	}
	c := t.talks[t.random.IntN(len(t.talks))]
	in := c.packet()
	if t.one(5) {
		t.spoil(in)
	}
	if in.capture = t.capture; t.capture && t.one(3) {
		n := t.place(in)
		in.frame, in.lost = in.frame[:n], len(in.frame)-n
	}
	if t.one(30) {
		again := *in
		again.frame = slices.Clone(in.frame)
		t.held = append(t.held, &again)
	}
	if t.one(20) {
		t.held = append(t.held, in)
		return t.packet()
	}
	in.now = t.now
	return in
}

// tick moves the clock: mostly a little, now and then by hours, and sometimes back.
func (t *traffic) tick() {
	switch n := t.random.IntN(1000); {
	case n < 5:
		t.now -= uint64(t.random.IntN(2_000_000))
	case n < 7:
		t.now += uint64(t.random.IntN(3 * 3600 * 1_000_000_000))
	case n < 100:
		t.now += uint64(t.random.IntN(500_000_000))
	default:
		t.now += uint64(t.random.IntN(300_000))
	}
}

// randomTalk is a 5-tuple with one connection after the other.
type randomTalk struct {
	*traffic
	tuple   tuple
	udp     bool
	ifindex uint32
	isns    [2]uint32
	next    [2]uint32 // end of what each side has sent
	missing [2][]span // what was left out
	early   string    // payload of SYNs, if they have any
	lossy   bool
	planned []planned
}

type span struct{ start, length uint32 }

// planned is a segment and who sends it.
type planned struct {
	dir int
	segment
}

func (c *randomTalk) packet() *input {
	if c.one(1000) {
		c.ifindex = c.anyInterface()
	}
	in := &input{ifindex: c.ifindex}
	if c.one(200) {
		in.ifindex = c.anyInterface()
	}
	proto, body := flow.TCP, []byte(nil)
	if c.udp {
		proto, in.dir = flow.UDP, c.random.IntN(2)
		src, dst := c.tuple.ends(in.dir)
		body = udpBytes(src.Port(), dst.Port(), c.payload())
	} else {
		s := c.segment()
		in.dir = s.dir
		src, dst := c.tuple.ends(in.dir)
		body = s.bytes(src.Port(), dst.Port())
	}
	if len(body) > 200 && c.one(2) || c.one(50) {
		in.gso = uint32([]int{1, 20, 100, 536, 1000, 1448, 1448, 65535}[c.random.IntN(8)])
	}
	in.frame = c.wrap(in.dir, proto, body)
	return in
}

// wrap puts headers in front.
func (c *randomTalk) wrap(dir, proto int, body []byte) []byte {
	h := c.tuple.ip(dir, proto)
	h.ttl = byte(50 + c.random.IntN(16))
	if h.src.Is4() {
		if c.one(20) {
			h.options = slices.Repeat([]byte{1}, 4*(1+c.random.IntN(10)))
		}
		if c.one(100) {
			h.fragment = []int{0x2000, 0x4000, 0x2001, 185}[c.random.IntN(4)]
		}
	} else if c.one(10) {
		h.extension, body = c.extensions(proto, body)
	}
	var tags []int
	if c.one(20) {
		for range 1 + c.random.IntN(9) {
			tags = append(tags, []int{tag8021Q, tag8021ad, tagOld}[c.random.IntN(3)])
		}
	}
	frame := ethernet(tags, c.tuple.etherType(), h.packet(body))
	if c.one(10) {
		frame = append(frame, c.noise[:c.random.IntN(60)]...)
	}
	return frame
}

// extensions puts IPv6 extension headers before an upper layer.
func (c *randomTalk) extensions(proto int, body []byte) (first int, _ []byte) {
	for range 1 + c.random.IntN(10) {
		kind := []int{protoRouting, protoDestOpts, protoMobility, protoAH, protoFragment, protoFragment}[c.random.IntN(6)]
		header := extension(proto, c.random.IntN(3))
		switch kind {
		case protoAH:
			header = append([]byte{byte(proto), byte(1 + c.random.IntN(4))}, c.noise[:30]...)
			header = header[:8+4*int(header[1])]
		case protoFragment:
			header = fragmentHeader([]int{0, 1, 1, 9, 0xfff8}[min(c.random.IntN(20), 4)])
			header[0] = byte(proto)
		}
		proto, body = kind, slices.Concat(header, body)
	}
	return proto, body
}

// payload returns some bytes: mostly few, sometimes as many as fit.
func (t *traffic) payload() string {
	size := 1 + t.random.IntN([]int{4, 20, 300, 1448, 3200}[t.random.IntN(5)])
	start := t.random.IntN(len(t.noise) - size)
	return t.noise[start : start+size]
}
