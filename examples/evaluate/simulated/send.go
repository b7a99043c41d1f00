package simulated

import (
	"math"
	"time"

	"fivetuple/correlator/flow"
)

const (
	firstWindow = 10 * mss // RFC 6928
	// flightMost bounds what is one event; a round trip's window may be several.
	flightMost = 256 << 10
)

// send carries n bytes over the road, a window at a time, and calls done when the last one is there: received, or sent.
// After the first flight it calls begun, if that is not nil.
func (c *conn) send(dir, n int, begun, done func()) {
	if c.closed {
		return
	}
	w, h := c.w, c.host
	flight := min(n, int(c.window[dir]), flightMost)
	left := n - flight
	spread := time.Duration(float64(flight-min(flight, mss)) / h.rate * float64(time.Second))
	finish := func() {
		if c.closed {
			return
		}
		if begun != nil {
			begun()
		}
		if left == 0 {
			done()
			return
		}
		wait := h.trip() - spread
		if bandwidth := h.rate * h.rtt.Seconds(); c.window[dir] >= bandwidth {
			wait = 0 // acknowledgements come while it sends
		}
		w.after(wait, func() { c.send(dir, left, nil, done) })
	}
	lost := w.lostOf(h, (flight+mss-1)/mss)
	if lost == 0 {
		c.window[dir] = min(2*c.window[dir], 4<<20)
	} else {
		c.window[dir] = max(c.window[dir]/2, 2*mss)
	}
	first := min(flight, mss)
	if flight == first || lost > 0 {
		w.after(spread, func() { c.arrive(dir, flight, lost, left == 0, finish) })
		return
	}
	c.count(dir, fresh, first, 0)
	w.after(spread, func() {
		if !c.closed {
			c.count(dir, fresh, flight-first, 0)
			finish()
		}
	})
}

// arrive takes a flight of which segments were lost.
func (c *conn) arrive(dir, flight, lost int, isLast bool, finish func()) {
	if c.closed {
		return
	}
	switch gone := min(lost*mss, flight); {
	case lost == 0:
		c.count(dir, fresh, flight, 0)
		finish()
	case dir == flow.TX: // the program sits before the road: it sees all, and what is sent again
		c.count(dir, fresh, flight, 0)
		c.later(c.host.trip(), func() { c.count(dir, again, gone, 0); finish() })
	case gone == flight || isLast && c.w.random.IntN((flight+mss-1)/mss) == 0:
		// The last segment, behind which nothing comes that would show the hole: it comes after a time-out.
		if flight > gone {
			c.count(dir, fresh, flight-gone, 0)
		}
		c.later(c.host.timeout(), func() { c.count(dir, fresh, gone, 0); finish() })
	default:
		c.count(dir, fresh, flight-gone, gone)
		c.later(c.host.trip(), func() { c.count(dir, late, gone, 0); finish() })
	}
}

// later does something a time from now, if the connection is still there.
func (c *conn) later(d time.Duration, do func()) {
	c.w.after(d, func() {
		if !c.closed {
			do()
		}
	})
}

// lost says whether a packet is.
func (w *world) lost(h *host) bool { return w.random.Float64() < h.loss }

// lostOf returns how many of so many packets are.
func (w *world) lostOf(h *host, packets int) (n int) {
	if h.loss == 0 {
		return 0
	}
	// From one lost packet to the next it is a geometric distance.
	for at := w.distance(h.loss); at < float64(packets); at += 1 + w.distance(h.loss) {
		n++
	}
	return n
}

func (w *world) distance(p float64) float64 {
	return math.Floor(math.Log(1-w.random.Float64()) / math.Log(1-p))
}
