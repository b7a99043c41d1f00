package watch

import (
	"fmt"
	"math"
	"time"

	"fivetuple/correlator/flow"
)

const (
	// activeTime is how long a connection counts after its last packet.
	activeTime = 10 * time.Second
	// shortTime is how long a short connection lasts at most, and over how long they are counted.
	shortTime = 2 * time.Second
	// shortExchanges is what a short connection carries at most: a request, behind TLS's handshake and its tail.
	shortExchanges = 3
	// machinePace is from how many exchanges a second on no person drives a connection.
	machinePace = 10
	// pacedTime is over how long a pace is smoothed.
	pacedTime = 2 * time.Second
)

// readConnections reads a slice of the flow table.
func (w *Watcher) readConnections(tables Tables) error {
	w.connections.start(w.now)
	done, err := tables.Flows(w.options.Flows, func(k flow.Key, r *flow.Record) {
		w.report.Flows++
		if r.Conn.Lock&1 == 0 {
			w.addConnection(&k, r)
		}
	})
	w.connections.done = done
	if err != nil {
		return fmt.Errorf("read flows: %w", err)
	}
	if done {
		w.smoothPaces()
	}
	return nil
}

func (w *Watcher) addConnection(k *flow.Key, r *flow.Record) {
	c := &r.Conn
	lately := c.Last >= ago(w.now, activeTime)
	drips := c.State == flow.StateOpen && dripping(r)
	if !lately && !drips || !inbound(r) {
		return
	}
	if c.State == flow.StateOpen {
		w.active.add(&k.Remote)
	}
	ended := c.ID >= ago(w.now, shortTime) && short(r)
	pace := w.paces.rate(r, w.now)
	if !drips && !ended && pace < machinePace {
		return // as connections are
	}
	s := w.sources.take(&k.Remote, w.now)
	if drips {
		s.Dripping++
	}
	if ended {
		s.Short += 1 / shortTime.Seconds()
	}
	if pace >= machinePace {
		s.paced += pace
		if inTurn(r) {
			s.serial = max(s.serial, pace)
		}
	}
}

// inTurn says whether a connection has one call under way at most: cleartext HTTP/1 (over TLS it may be HTTP/2). What is
// pipelined there is no exchange of its own.
func inTurn(r *flow.Record) bool {
	return r.Conn.Dir[flow.RX].Begins() == flow.PayloadHTTP1
}

// inbound says whether the peer is the client: it sent the SYN, or, where none was seen, a request.
func inbound(r *flow.Record) bool {
	rx, tx := &r.Conn.Dir[flow.RX], &r.Conn.Dir[flow.TX]
	if rx.Known&flow.KnownOpener != 0 {
		return true
	}
	if tx.Known&flow.KnownOpener != 0 {
		return false
	}
	switch rx.Begins() {
	case flow.PayloadHTTP1, flow.PayloadHTTP2, flow.PayloadTLS, flow.PayloadProxyV1, flow.PayloadProxyV2:
		return true
	case flow.PayloadNone, flow.PayloadOther, flow.PayloadMethod, flow.PayloadSwitched:
	}
	return false
}

// short says whether a connection that began lately has ended, or was never more than packets of the peer.
func short(r *flow.Record) bool {
	if r.Exchange > shortExchanges {
		return false
	}
	return r.Conn.State == flow.StateClosed || r.Conn.Origin == flow.OriginMidstream && r.Conn.Dir[flow.TX].Packets == 0
}

// smoothPaces ends the turn's sums of paces. A client that waits for each answer slows down with the gateway, and keeps one of
// its workers busy, however fast it is: so the busiest such connection of an address counts for nothing.
func (w *Watcher) smoothPaces() {
	passed := max(seconds(w.now-w.connections.began), 1)
	weight := -math.Expm1(-passed / pacedTime.Seconds())
	for i := range w.sources.all {
		s := &w.sources.all[i]
		s.Paced += weight * (s.paced - s.serial - s.Paced)
	}
}

// endConnections learns from a turn over the flow table, and makes room for the next.
func (w *Watcher) endConnections() {
	for i := len(w.sources.all) - 1; i >= 0; i-- {
		s := &w.sources.all[i]
		if s.touched < ago(w.now, sourceQuiet) {
			w.sources.remove(i)
			continue
		}
		w.learn(s)
		s.Dripping, s.Short, s.paced, s.serial = 0, 0, 0, 0
	}
}

// learn takes what a source did as usual, unless it is flagged or trusted; what was pardoned is usual, too.
func (w *Watcher) learn(s *source) {
	key := sourceKey(s.address)
	if pardoned, held := w.held[key]; s.trusted || w.flags.has(key) || held && !pardoned {
		return
	}
	w.usual.short.learn(s.Short)
	w.usual.paced.learn(s.Paced)
}
