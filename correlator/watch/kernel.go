package watch

import (
	"fmt"

	"fivetuple/correlator/flow"
)

// kernelCounts are the running counts that the kernel keeps of an address, at one look.
type kernelCounts struct {
	first                       uint64 // when it began to count; 0: no look yet
	syns, handshakes, malformed uint32
	ports                       int
}

// unworthy is how many SYNs alone make no window: a flood with false addresses has one or two of each.
const unworthy = 2

// readKernel reads a slice of the table of sources, and adds what is new to the windows.
func (w *Watcher) readKernel(tables Tables) error {
	w.kernel.start(w.now)
	done, err := tables.Sources(sourceSlice, func(address [16]byte, s *flow.Source) {
		w.report.Sources++
		if s.Last >= w.kernel.before { // else nothing is new since the last turn's look
			w.addKernel(&address, s)
		}
	})
	w.kernel.done = done
	if err != nil {
		return fmt.Errorf("read sources: %w", err)
	}
	return nil
}

func (w *Watcher) addKernel(address *[16]byte, s *flow.Source) {
	if s.SYNs <= unworthy && s.Handshakes == 0 && s.Malformed == 0 && !w.sources.has(address) {
		return
	}
	window := w.sources.take(address, w.now)
	window.fade(w.now)
	now := kernelCounts{s.First, s.SYNs, s.Handshakes, s.Malformed, s.DistinctPorts()}
	before := window.before
	window.before = now
	if before.first != s.First {
		if s.First < ago(w.now, fadeTime) {
			return // when it did what is counted is not known
		}
		before = kernelCounts{}
	}
	window.SYNs += float64(now.syns - before.syns)
	window.Handshakes += float64(now.handshakes - before.handshakes)
	window.Malformed += float64(now.malformed - before.malformed)
	window.Ports += float64(max(now.ports-before.ports, 0))
}
