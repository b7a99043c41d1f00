package main

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"fivetuple/bpf"
	"fivetuple/conf"
	"fivetuple/correlator"
	"fivetuple/correlator/fleet"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// hostTable is the table of verdicts of an agent on the loopback interface of a network namespace of its own.
type hostTable struct {
	*bpf.Verdicts
	t     *testing.T
	pins  string
	clock bpf.Clock
}

func newHostTable(t *testing.T) *hostTable {
	t.Helper()
	needRoot(t)
	pins := filepath.Join(t.TempDir(), "pins")
	must(t, os.Mkdir(pins, 0o755))
	t.Cleanup(func() {
		for unix.Unmount(pins, unix.MNT_DETACH) == nil { // the agent has mounted it
		}
	})
	o := conf.Default().Agent
	o.Interfaces, o.Pins.Path, o.OnExit = []string{"lo"}, pins, bpf.ExitRemove
	o.Tables = bpf.TableOptions{Flows: 1024, HalfOpen: 1024, UDP: 1024, Sources: 1024, Holes: 1024, Verdicts: 20_000}
	var agent *bpf.Agent
	done := make(chan error)
	go func() { // the thread is in the namespace, and ends with this goroutine: it is never unlocked
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			agent, err = bpf.Start(o, zerolog.New(zerolog.NewTestWriter(t)))
		}
		done <- err
	}()
	must(t, <-done)
	t.Cleanup(func() { _ = agent.Close() })
	clock, err := bpf.NewClock()
	must(t, err)
	return &hostTable{agent.Verdicts(), t, pins, clock}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *hostTable) put(address string, v flow.Verdict) {
	h.t.Helper()
	if v.Since == 0 {
		v.Since = h.clock.Now()
	}
	if v.Expires == 0 {
		v.Expires = h.clock.Now() + uint64(10*time.Minute)
	}
	must(h.t, h.Put(flow.VerdictKey{Address: netip.MustParseAddr(address).As16(), Kind: flow.VerdictSource}, v))
}

// moment is both clocks, as if Redis were on this host.
func (h *hostTable) moment(now uint64) fleet.Moment {
	return fleet.Moment{Kernel: now, Redis: time.Now().Add(time.Duration(now - h.clock.Now())).UnixMilli()}
}

func newTestBoard(t *testing.T, gateway, mode string) *fleet.Board {
	t.Helper()
	b, err := fleet.NewBoard(fleet.Options{Gateway: gateway, SharedVerdicts: mode, Quorum: 2}, fleet.NewInstance([8]byte([]byte(gateway + "........")[:8])))
	must(t, err)
	return b
}

// flagsOf returns what a gateway says that holds some addresses.
func (h *hostTable) flagsOf(gateway string, score uint16, addresses ...string) []byte {
	h.t.Helper()
	now := h.clock.Now()
	table := fleet.Table{}
	for _, a := range addresses {
		table[netip.MustParseAddr(a).As16()] = flow.Verdict{
			Since: now, Expires: now + uint64(10*time.Minute), Score: score, Signals: uint32(signal.Of(signal.HalfOpen)),
		}
	}
	p, err := newTestBoard(h.t, gateway, fleet.VerdictsEnforce).Own(h.moment(now), table)
	must(h.t, err)
	return p.Whole
}

// wait waits until something holds.
func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	end := time.NewTimer(20 * time.Second)
	defer end.Stop()
	for tick := time.NewTicker(10 * time.Millisecond); !holds(); {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatal("waited in vain: ", what)
		}
	}
}

// followed starts to follow a host's table until the test ends.
func (h *hostTable) followed(shared *sharedVerdicts) (*correlator.SourceList, func(address string) (signal.Verdict, bool)) {
	list := new(correlator.SourceList)
	ctx, stop := context.WithCancel(h.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		followVerdicts(ctx, h.pins, h.clock.Now, list, shared, zerolog.New(zerolog.NewTestWriter(h.t)))
	}()
	h.t.Cleanup(func() {
		stop()
		<-ended
	})
	return list, func(address string) (signal.Verdict, bool) {
		return list.Verdict(netip.MustParseAddr(address).As16(), h.clock.Now())
	}
}

// TestVerdictsAlone: without a fleet the list is the table's, without pardons, listeners and what has expired.
func TestVerdictsAlone(t *testing.T) {
	h := newHostTable(t)
	_, said := h.followed(nil)
	h.put("192.0.2.1", flow.Verdict{Score: 400, Signals: uint32(signal.Of(signal.PortScan))})
	h.put("192.0.2.2", flow.Verdict{Score: 1000, Origin: flow.OriginManual})
	h.put("192.0.2.3", flow.Verdict{Origin: flow.OriginManual})
	h.put("192.0.2.4", flow.Verdict{Score: 1000, Expires: 1})
	must(t, h.Put(flow.VerdictKey{Address: netip.MustParseAddr("192.0.2.5").As16(), Port: 80, Kind: flow.VerdictListener},
		flow.Verdict{Score: 900, Expires: h.clock.Now() + uint64(time.Minute)}))
	h.put("192.0.2.6", flow.Verdict{Score: 900})
	for address, want := range map[string]signal.Verdict{
		"192.0.2.6": {Score: 0.9}, "192.0.2.1": {Score: 0.4, Signals: signal.Of(signal.PortScan)}, "192.0.2.2": {Score: 1},
	} {
		wait(t, address, func() bool {
			v, ok := said(address)
			return ok && v == want
		})
	}
	for _, address := range []string{"192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.7"} {
		if v, ok := said(address); ok {
			t.Errorf("%s: %+v", address, v)
		}
	}
}

// TestSharedVerdicts: what the table holds is told; what a quorum of others holds counts, or is counted; a pardon holds.
func TestSharedVerdicts(t *testing.T) {
	h := newHostTable(t)
	h.put("192.0.2.1", flow.Verdict{Score: 700, Signals: uint32(signal.Of(signal.PortScan))})
	h.put("192.0.2.2", flow.Verdict{Origin: flow.OriginManual})
	for mode, counts := range map[string]bool{fleet.VerdictsEnforce: true, fleet.VerdictsObserve: false} {
		told := make(chan fleet.Publication, 1000)
		s := &sharedVerdicts{board: newTestBoard(t, "here", mode), moment: h.moment, tell: func(p fleet.Publication) { told <- p }}
		list, said := h.followed(s)
		var whole []byte
		wait(t, "the table is told", func() bool {
			whole = (<-told).Whole
			return whole != nil
		})
		if f, err := fleet.DecodeFlags(whole); err != nil || len(f.Flags) != 1 || f.Flags[0].Address.String() != "192.0.2.1" {
			t.Errorf("%v: %s", err, whole)
		}
		for _, g := range []string{"a", "b"} {
			must(t, s.board.Hear(g, h.flagsOf(g, 900, "192.0.2.1", "192.0.2.2", "203.0.113.7"), true, h.moment(h.clock.Now())))
		}
		wait(t, "the others' word", func() bool {
			v, ok := said("203.0.113.7")
			n := list.Counts()
			if counts {
				return ok && v == signal.Verdict{Score: 0.9, Signals: signal.Of(signal.HalfOpen)} && n.Fleet > 0 && n.Observed == 0
			}
			return !ok && n.Observed > 0 && n.Fleet == 0
		})
		if v, _ := said("192.0.2.1"); v.Score != map[bool]float64{true: 0.9, false: 0.7}[counts] {
			t.Errorf("%s: a local verdict is %+v", mode, v)
		}
		if v, ok := said("192.0.2.2"); ok {
			t.Errorf("%s: the pardoned one: %+v", mode, v)
		}
	}
}
