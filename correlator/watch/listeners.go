package watch

import (
	"fmt"
	"time"

	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// strayGrace is how long segments without a record are not judged after the start: they are of connections that are older
// than the program, and what of them is usual is learned meanwhile.
const strayGrace = time.Minute

// listener is what a turn over the half-open table found of one local address and port.
type listener struct {
	unfinished float64 // begun 1 to 2 s ago, and not completed
	pending    float64 // not completed
	completed  float64
}

// listeners are those of a turn. Beyond maxListeners, what others get is counted as the host's.
type listeners struct {
	all     map[flow.VerdictKey]*listener
	host    listener // everything that is in no other
	entries uint64   // of the table
}

// take returns a listener.
func (l *listeners) take(k *flow.Key) *listener {
	key := flow.VerdictKey{Address: k.Local, Port: k.LocalPort, Kind: flow.VerdictListener}
	if at, ok := l.all[key]; ok {
		return at
	}
	if len(l.all) >= maxListeners {
		return &l.host
	}
	at := new(listener)
	l.all[key] = at
	return at
}

func (l *listeners) clear() {
	clear(l.all)
	l.host, l.entries = listener{}, 0
}

func (l *listeners) sum() listener {
	sum := l.host
	for _, one := range l.all {
		sum.unfinished += one.unfinished
		sum.pending += one.pending
		sum.completed += one.completed
	}
	return sum
}

// counted are the tables' and packets' counts at a tick, and what happened a second since the tick before.
type counted struct {
	at       uint64
	inserted uint64 // into the flow table
	evicted  uint64 // from the half-open table, at the end of a turn
	turned   uint64 // when that was
	strays   flow.Strays
	rates    struct{ completed, evicted, unsolicited, noConnection, other float64 }
}

// readCounts reads what happened to the tables and to packets.
func (w *Watcher) readCounts(tables Tables) error {
	counts, err := tables.TableCounts()
	if err != nil {
		return fmt.Errorf("read table counts: %w", err)
	}
	strays, err := tables.Strays()
	if err != nil {
		return fmt.Errorf("read packet counts: %w", err)
	}
	c := &w.counted
	if c.at != 0 {
		passed := seconds(w.now - c.at)
		c.rates.completed = grown(c.inserted, counts[flow.TableFlows].Inserted) / passed
		c.rates.unsolicited = grown(c.strays.Unsolicited, strays.Unsolicited) / passed
		c.rates.noConnection = grown(c.strays.NoConnection, strays.NoConnection) / passed
		c.rates.other = grown(c.strays.Other, strays.Other) / passed
	}
	c.at, c.inserted, c.strays = w.now, counts[flow.TableFlows].Inserted, strays
	if w.handshakes.done {
		evicted := counts[flow.TableHalfOpen].Evicted(w.listeners.entries)
		if c.turned != 0 {
			c.rates.evicted = grown(c.evicted, evicted) / seconds(w.now-c.turned)
		}
		c.evicted, c.turned = evicted, w.now
	}
	return nil
}

// grown returns by how much a running count has grown; one that is smaller began anew.
func grown(before, now uint64) float64 {
	if now < before {
		return float64(now)
	}
	return float64(now - before)
}

// window returns the figures of a listener, or of the sum of all.
func (w *Watcher) window(of, sum *listener) signal.ListenerWindow {
	rates := &w.counted.rates
	completed := rates.completed
	if sum.completed > 0 {
		completed *= of.completed / sum.completed
	}
	return signal.ListenerWindow{
		Unfinished: of.unfinished + rates.evicted*of.pending/float64(max(w.listeners.entries, 1)),
		Completed:  completed,
	}
}

// judgeListeners judges each listener, and the host by what belongs to none.
func (w *Watcher) judgeListeners() {
	sum := w.listeners.sum()
	told := false
	for key, one := range w.listeners.all {
		window := w.window(one, &sum)
		facts := window.Facts()
		told = w.raise(key, &facts) || told
	}
	var host signal.ListenerWindow
	if !told {
		host = w.window(&sum, &sum)
	}
	rates := &w.counted.rates
	host.Unsolicited = rates.unsolicited
	host.Stray, host.UsualStray = rates.other, w.usual.stray.most()
	grace := w.now-w.begun < uint64(strayGrace)
	if !grace {
		host.Stray += rates.noConnection
	}
	facts := host.Facts()
	w.raise(flow.VerdictKey{Kind: flow.VerdictListener}, &facts)
	if facts.Strength(signal.Volume) == 0 {
		w.usual.stray.learn(rates.other + rates.noConnection)
	}
}
