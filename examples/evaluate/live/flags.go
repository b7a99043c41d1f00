package live

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"fivetuple/bpf"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/watch"
	"fivetuple/examples/evaluate/outcome"
	"fivetuple/examples/stack"
)

// lookEvery is how often the table and the log are looked at.
const lookEvery = 20 * time.Millisecond

// flagged is a flag that was seen.
type flagged struct {
	At      uint64 // CLOCK_MONOTONIC nanoseconds
	On      string // "address", "listener" or "call"
	Address netip.Addr
	Signals string
}

// flags sees flags as they come: verdicts in the kernel's table, which a plugin's look-up and enforcement go by, and calls
// that are flagged in the log.
type flags struct {
	verdicts *bpf.Verdicts
	clock    bpf.Clock // of the kernel's records
	log      *os.File
	lines    *bufio.Reader
	rest     []byte // of a line that is not whole yet
	end      chan struct{}
	done     sync.WaitGroup

	mu   sync.Mutex
	seen map[flow.VerdictKey]bool
	all  []flagged
	err  error
}

func openFlags(st *stack.Stack) (*flags, error) {
	clock, err := bpf.NewClock()
	if err != nil {
		return nil, err
	}
	verdicts, err := bpf.OpenVerdicts(st.Pins(), false)
	if err != nil {
		return nil, err
	}
	f := &flags{verdicts: verdicts, clock: clock, end: make(chan struct{}), seen: map[flow.VerdictKey]bool{}}
	f.done.Go(func() { f.run(st.CallsFile()) })
	return f, nil
}

func (f *flags) close() {
	close(f.end)
	f.done.Wait()
	_ = f.verdicts.Close()
	if f.log != nil {
		_ = f.log.Close()
	}
}

func (f *flags) run(path string) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-f.end:
			return
		case <-tick.C:
		}
		f.mu.Lock()
		f.lookVerdicts()
		f.lookLog(path)
		f.mu.Unlock()
	}
}

// drain reads what the log still has.
func (f *flags) drain(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lookLog(path)
}

func (f *flags) lookVerdicts() {
	now := f.clock.Now()
	err := f.verdicts.Each(func(key flow.VerdictKey, v *flow.Verdict) error {
		if f.seen[key] {
			return nil
		}
		f.seen[key] = true
		on := outcome.On(key)
		f.all = append(f.all, flagged{now, on, netip.AddrFrom16(key.Address).Unmap(), watch.Said(v).Signals.String()})
		return nil
	})
	if err != nil && f.err == nil {
		f.err = err
	}
}

// line is what is read of a call's line in the log.
type line struct {
	Client  netip.Addr `json:"network.peer.address"`
	Flagged bool       `json:"flagged"`
	Signals string     `json:"anomaly_signals"`
}

func (f *flags) lookLog(path string) {
	if f.log == nil {
		log, err := os.Open(path)
		if err != nil {
			return // no call has ended yet
		}
		f.log, f.lines = log, bufio.NewReader(log)
	}
	for {
		text, err := f.lines.ReadBytes('\n')
		f.rest = append(f.rest, text...)
		if err != nil {
			return
		}
		var l line
		if err := json.Unmarshal(f.rest, &l); err != nil && f.err == nil {
			f.err = fmt.Errorf("read the log of calls: %w", err)
		}
		f.rest = f.rest[:0]
		if l.Flagged {
			f.all = append(f.all, flagged{f.clock.Now(), "call", l.Client.Unmap(), l.Signals})
		}
	}
}

// list returns those that an address, or none of the honest ones, has.
func (f *flags) list(want func(flagged) bool) (all []flagged, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range f.all {
		if want(one) {
			all = append(all, one)
		}
	}
	return all, f.err
}
