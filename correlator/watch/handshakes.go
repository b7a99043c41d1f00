package watch

import (
	"fmt"
	"time"

	"fivetuple/correlator/flow"
)

const (
	// handshakeTime is how long an honest handshake may take: the round trip, or its repetition (RFC 6298, 2.1: 1 s).
	handshakeTime = time.Second
	// handshakeWindow is how old a handshake is at most that counts against its source.
	handshakeWindow = 10 * time.Second
)

// handful is from how many unfinished handshakes on an address is looked at alone: a flood's false ones have one or two.
const handful = 4

// flagRST is a bit of flow.Direction.Flags (RFC 9293, 3.1).
const flagRST = 0x04

// readHandshakes reads a slice of the half-open table: of sources, what each left undone; of listeners, what all did.
func (w *Watcher) readHandshakes(tables Tables) error {
	w.handshakes.start(w.now)
	done, err := tables.HalfOpen(halfOpenSlice, func(k flow.Key, c *flow.Conn) {
		w.report.HalfOpen++
		if c.Lock&1 == 0 && opened(c) {
			w.addHandshake(&k, c)
		}
		w.listeners.entries++
	})
	w.handshakes.done = done
	if err != nil {
		return fmt.Errorf("read half-open: %w", err)
	}
	return nil
}

// opened says whether the peer alone began the connection.
func opened(c *flow.Conn) bool {
	return c.Dir[flow.RX].Known&flow.KnownOpener != 0 && c.Dir[flow.TX].Known&flow.KnownOpener == 0
}

func (w *Watcher) addHandshake(k *flow.Key, c *flow.Conn) {
	l := w.listeners.take(k)
	switch {
	case c.State == flow.StatePromoted:
		l.completed++
		return
	case c.Dir[flow.TX].Flags&flagRST != 0:
		return // refused: nobody listens, as while a service restarts
	}
	l.pending++
	begun := max(c.SYN, c.ID)
	if begun >= ago(w.now, handshakeTime) {
		return
	}
	if begun >= ago(w.now, 2*handshakeTime) {
		l.unfinished++
	}
	if c.SYNACK != 0 && begun >= ago(w.now, handshakeWindow) {
		w.addHalfOpen(&k.Remote)
	}
}

func (w *Watcher) addHalfOpen(address *[16]byte) {
	n := float64(1)
	if !w.sources.has(address) {
		if w.waiting.add(address) < handful {
			return
		}
		n = handful
	}
	s := w.sources.take(address, w.now)
	if s.halfOf != w.handshakes.number {
		s.HalfOpen, s.halfOf = 0, w.handshakes.number
	}
	s.HalfOpen += n
}
