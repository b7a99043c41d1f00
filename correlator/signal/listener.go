package signal

// ListenerWindow is what came to one local address and port, or to the whole host, lately; from whom is not told, because a
// spoofed packet has no source.
type ListenerWindow struct {
	// Unfinished is handshakes a second that peers began, that this host did not refuse, and that are not completed a second
	// later, or had to make room for others in the half-open table.
	Unfinished float64
	// Completed is handshakes a second that were.
	Completed float64
	// Unsolicited is SYN-ACKs a second that answer no SYN; of the whole host.
	Unsolicited float64
	// Stray is packets a second that belong to no connection's record; of the whole host.
	Stray float64
	// UsualStray is what 99 of 100 seconds did not exceed; 0: not known yet.
	UsualStray float64
}

// ListenerSignal is one signal of a listener, and its strength in a window.
type ListenerSignal struct {
	Signal   Signal
	Strength func(*ListenerWindow) float64
}

// OfListeners lists the signals of listeners.
func OfListeners() [3]ListenerSignal {
	return [...]ListenerSignal{
		{SYNFlood, synFlood},
		{Reflection, reflection},
		{Volume, volume},
	}
}

// Facts returns the strengths of all of a listener's signals.
func (w *ListenerWindow) Facts() (f Facts) {
	for _, s := range OfListeners() {
		f.Add(s.Signal, s.Strength(w))
	}
	return f
}

const (
	// unfinishedFloor, in handshakes a second: the internet's scanners leave a few.
	unfinishedFloor = 200
	// unfinishedShare of all handshakes: at 2 % loss, 4 % take longer than a second.
	unfinishedShare = 0.25
)

// synFlood: handshakes a second that nobody completes (RFC 4987, 2), in number and share. A host that is too busy to answer
// SYNs looks the same.
func synFlood(w *ListenerWindow) float64 {
	if portion(w.Unfinished, w.Completed) < unfinishedShare {
		return 0
	}
	return above(w.Unfinished, unfinishedFloor)
}

// unsolicitedFloor, in SYN-ACKs a second: none comes without a SYN, but for the ones on their way when counting began.
const unsolicitedFloor = 50

// reflection: answers to SYNs that others sent in this host's name (RFC 4987, 2.1; Paxson, 2001).
func reflection(w *ListenerWindow) float64 { return above(w.Unsolicited, unsolicitedFloor) }

// strayFloor, in packets a second: ARP, ICMP and late packets of closed connections are some hundred on a busy host.
const strayFloor = 2000

// volume: packets a second that belong to no connection: fragments, other protocols, broken headers, floods of ACKs.
func volume(w *ListenerWindow) float64 { return above(w.Stray, unusual(strayFloor, w.UsualStray)) }
