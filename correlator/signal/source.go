package signal

// SourceWindow is what one remote address did lately.
type SourceWindow struct {
	// SYNs, Handshakes (completed), Ports (local ones, tried for the first time) and Malformed (packets) are fading sums
	// of the kernel's counts: what happened 10 s ago counts 1/e.
	SYNs, Handshakes, Ports, Malformed float64
	// HalfOpen is how many handshakes it began 1 to 10 s ago that this host has answered and that are not completed.
	HalfOpen float64
	// Active is how many of its connections had a packet within 10 s, or wait for one of its.
	Active float64
	// Dripping is how many of those bring their request at a few bytes a second, for 3 s and longer.
	Dripping float64
	// Short is how many connections a second it began, over 2 s, that have ended within 2 s of their begin after a
	// request or none, or of which only its own packets were ever seen.
	Short float64
	// Paced is the exchanges a second on those of its connections that carry 10 and more a second each, over about 2 s, but
	// for the busiest on which one call is under way at a time.
	Paced float64
	// UsualShort and UsualPaced are what 99 of 100 sources do not exceed; 0: not known yet.
	UsualShort, UsualPaced float64
}

// SourceSignal is one signal of a source, and its strength in a window.
type SourceSignal struct {
	Signal   Signal
	Strength func(*SourceWindow) float64
}

// OfSources lists the signals of sources.
func OfSources() [6]SourceSignal {
	return [...]SourceSignal{
		{HalfOpen, halfOpen},
		{SlowHeaders, slowHeaders},
		{PortScan, portScan},
		{ConnectionRate, connectionRate},
		{RequestRate, requestRate},
		{Malformed, malformed},
	}
}

// Facts returns the strengths of all of a source's signals.
func (w *SourceWindow) Facts() (f Facts) {
	for _, s := range OfSources() {
		f.Add(s.Signal, s.Strength(w))
	}
	return f
}

const (
	// halfOpenFloor, in handshakes: of a thousand users behind one address with 2 % loss, some 40 repeat a step of theirs
	// at once, but that is a small share.
	halfOpenFloor = 20
	// halfOpenShare of the handshakes is not completed.
	halfOpenShare = 0.5
	// synFloodFloor, in SYNs that fade: more than one host's honest clients ever send, answered or not. It is for floods
	// that turn the half-open table over before a second has passed.
	synFloodFloor = 20_000
)

// halfOpen: handshakes begun and left, in number and share. Source: the half-open table, tcp(7).
func halfOpen(w *SourceWindow) float64 {
	flood := above(w.SYNs-w.Handshakes, synFloodFloor)
	if portion(w.HalfOpen, w.Handshakes) < halfOpenShare {
		return flood
	}
	return max(flood, above(w.HalfOpen, halfOpenFloor))
}

const (
	// drippingFloor, in connections: one or two may be a bad network; many at once are not.
	drippingFloor = 8
	// drippingShare of the active connections: a bad client among many users of an address does not speak for them.
	drippingShare = 0.5
)

// slowHeaders: connections whose request trickles in and is never complete, in number and share: slow headers and slow
// bodies (CWE-400). A connection that brought one piece, or none, and is silent is as a long poll or a spare one is.
func slowHeaders(w *SourceWindow) float64 {
	if portion(w.Dripping, w.Active-w.Dripping) < drippingShare {
		return 0
	}
	return above(w.Dripping, drippingFloor)
}

// portScanFloor, in ports: a client knows the few that it wants.
const portScanFloor = 15

// portScan: local ports tried for the first time, less the handshakes completed meanwhile: who watches many services
// completes them. An address that scans while its others complete as many is not told.
func portScan(w *SourceWindow) float64 { return above(w.Ports-w.Handshakes, portScanFloor) }

// connectionFloor, in connections a second: a thousand users without keep-alive that call every ten seconds make 100.
const connectionFloor = 150

// connectionRate: connections opened for nothing or for one request, a second. A storm of reconnecting clients stays open.
func connectionRate(w *SourceWindow) float64 {
	return rate(w.Short, unusual(connectionFloor, w.UsualShort))
}

// requestFloor, in exchanges a second, on connections of a machine's pace: people, also a thousand, have not 10 a second each.
const requestFloor = 300

// requestRate: exchanges a second at a machine's pace. An honest machine does that, too: so what is usual counts, and the
// rate alone says little until it is far beyond.
func requestRate(w *SourceWindow) float64 {
	return rate(w.Paced, unusual(requestFloor, w.UsualPaced))
}

// malformedFloor, in packets that fade: links drop what they break, and no host makes such by itself; but a road with a broken
// middlebox does so to the first window (RFC 6928: 10 segments) of each of a browser's six connections.
const malformedFloor = 64

// malformed: packets whose headers contradict each other. Source: the kernel's count per address.
func malformed(w *SourceWindow) float64 { return above(w.Malformed, malformedFloor) }
