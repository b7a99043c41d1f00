package bpf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"github.com/rs/zerolog"
	"github.com/vishvananda/netlink"

	"fivetuple/correlator/flow"
)

const (
	// heartbeatEvery is how often the agent says that it lives and looks for new interfaces.
	heartbeatEvery = time.Second
	// oldLayoutLife is how long the tables of another layout stay after a start, for readers of the old version.
	oldLayoutLife = time.Minute
)

// Agent loads the program, keeps it attached to interfaces, publishes its tables, and removes old records. It is the
// only writer of the tables beside the program.
type Agent struct {
	options  Options
	log      zerolog.Logger
	clock    Clock
	pins     *pins
	tables   *tables
	meta     flow.Meta
	took     bool             // over what an earlier agent left
	attached map[int]attached // by interface index
	failed   map[int]string   // attachments that failed after the start, and were logged
	onBeat   func()
}

type attached struct {
	name  string
	sides []attachment
}

// Start loads, publishes and attaches, or reports what is missing and leaves nothing behind but what an earlier agent left. Nothing is counted without
// an interface: if none fits, that is an error.
func Start(o Options, log zerolog.Logger) (*Agent, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if err := rlimit.RemoveMemlock(); err != nil { // needed before Linux 5.11
		return nil, explain(fmt.Errorf("lift the limit of locked memory: %w", err))
	}
	clock, err := NewClock()
	if err != nil {
		return nil, err
	}
	hash, err := Layout()
	if err != nil {
		return nil, err
	}
	a := &Agent{
		options: o, log: log, clock: clock,
		meta:     flow.Meta{Layout: hash, Capacity: o.Tables.capacities()},
		attached: make(map[int]attached),
		failed:   make(map[int]string),
		onBeat:   func() {},
	}
	if err := a.start(); err != nil {
		return nil, errors.Join(err, a.giveUp())
	}
	return a, nil
}

func (a *Agent) start() (err error) {
	// The commonest mistake comes first, so that it costs an earlier agent's tables nothing.
	if _, err := a.chooseLinks(true); err != nil {
		return err
	}
	a.meta.Heartbeat = a.clock.Now()
	if a.pins, err = openPins(a.options.Pins); err != nil {
		return err
	}
	a.took = a.pins.hasTables(a.meta.Layout)
	if a.tables, err = loadPinned(a.options, a.meta, a.pins); err != nil {
		return err
	}
	if err := a.attachAll(true); err != nil {
		return err
	}
	if err := a.tables.publishRead(a.pins, a.pins.dir(a.meta.Layout)); err != nil {
		a.log.Warn().Err(err).Msg("readers look every record up twice")
	}
	return a.beat()
}

// OnBeat has a function called with each heartbeat of Run, once a second, while the tables are there. It holds up the agent
// for as long as it takes.
func (a *Agent) OnBeat(f func()) { a.onBeat = f }

// Run keeps the tables fresh until the context ends, and then closes the agent as its options say.
func (a *Agent) Run(ctx context.Context) error {
	beat := time.NewTicker(heartbeatEvery)
	defer beat.Stop()
	sweep := time.NewTicker(a.options.Sweep.Every)
	defer sweep.Stop()
	oldLayouts := time.NewTimer(oldLayoutLife)
	defer oldLayouts.Stop()
	for {
		select {
		case <-ctx.Done():
			return a.Close()
		case <-beat.C:
			if err := errors.Join(a.beat(), a.attachAll(false)); err != nil {
				return errors.Join(err, a.Close())
			}
			a.onBeat()
		case <-sweep.C:
			a.sweep()
		case <-oldLayouts.C:
			a.removeOldLayouts()
		}
	}
}

// Close ends the agent: with ExitKeep the program goes on counting for the next one, with ExitRemove nothing stays.
func (a *Agent) Close() error {
	if a.options.OnExit == ExitRemove {
		return a.remove()
	}
	errs := []error{a.tables.Close(), a.pins.Close()}
	for _, at := range a.attached {
		for _, side := range at.sides {
			errs = append(errs, side.Close())
		}
	}
	return errors.Join(errs...)
}

// Reasons returns how every packet left the program since the tables were made.
func (a *Agent) Reasons() (Reasons, error) { return readReasons(a.tables.Reasons) }

// giveUp ends a start that was cut short: what an earlier agent left stays as it is, and nothing stays of this one.
func (a *Agent) giveUp() error {
	if !a.took {
		return a.remove()
	}
	errs := []error{a.pins.Close()}
	if a.tables != nil {
		errs = append(errs, a.tables.Close())
	}
	for _, at := range a.attached {
		for _, side := range at.sides {
			errs = append(errs, side.Close())
		}
	}
	return errors.Join(errs...)
}

// remove takes everything away that the agent has, also after a start that was cut short.
func (a *Agent) remove() error {
	var errs []error
	for _, at := range a.attached {
		for _, side := range at.sides {
			errs = append(errs, side.Remove())
		}
	}
	if a.tables != nil {
		errs = append(errs, a.tables.Close())
	}
	if a.pins != nil {
		errs = append(errs, a.pins.remove(a.meta.Layout))
	}
	return errors.Join(errs...)
}

// beat writes the meta table: the tables are this program's, and their agent lives.
func (a *Agent) beat() error {
	a.meta.Heartbeat = a.clock.Now()
	return a.tables.writeMeta(&a.meta)
}

func (t *tables) writeMeta(meta *flow.Meta) error {
	if err := t.Meta.Update(uint32(0), meta, ebpf.UpdateAny); err != nil {
		return fmt.Errorf("write meta table: %w", err)
	}
	return nil
}

func (a *Agent) sweep() {
	swept, err := a.tables.sweep(a.options.Sweep, a.clock.Now())
	if err != nil {
		a.log.Error().Err(err).Msg("sweep of the tables was cut short")
		return
	}
	a.meta.Swept, a.meta.Entries, a.meta.Evicted = a.clock.Now(), swept.Entries, swept.Evicted
	a.log.Debug().Uints32("entries", swept.Entries[:]).Int("removed", swept.Removed).Msg("swept")
}

func (a *Agent) removeOldLayouts() {
	for _, dir := range a.pins.otherLayouts(layoutDir(a.meta.Layout)) {
		if err := os.RemoveAll(dir); err != nil {
			a.log.Error().Err(err).Str("dir", dir).Msg("tables of another layout stay")
			continue
		}
		a.log.Info().Str("dir", dir).Msg("removed tables of another layout")
	}
}

// attachAll attaches to the chosen interfaces that are new. At the start any failure ends the agent; later one is logged
// once, because the other interfaces are served.
func (a *Agent) attachAll(starting bool) error {
	chosen, err := a.chooseLinks(starting)
	if err != nil {
		return err
	}
	for _, l := range chosen {
		if _, ok := a.attached[l.Attrs().Index]; ok {
			continue
		}
		err := a.attachOne(l)
		if err != nil && starting {
			return err
		}
		if name := l.Attrs().Name; err != nil && a.failed[l.Attrs().Index] != name {
			a.failed[l.Attrs().Index] = name
			a.log.Error().Err(err).Str("interface", name).Msg("interface is not watched")
		}
	}
	return nil
}

// chooseLinks returns the interfaces to be attached to, and forgets those that are gone. Only at the start is it an error
// that one is missing, or all are.
func (a *Agent) chooseLinks(starting bool) ([]netlink.Link, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	a.forget(links)
	chosen, err := choose(links, a.options.Interfaces)
	if starting && err == nil && len(chosen) == 0 {
		err = fmt.Errorf("%w: none fits %q", ErrInterface, a.options.Interfaces)
	}
	if !starting {
		err = nil
	}
	return chosen, err
}

func (a *Agent) attachOne(l netlink.Link) error {
	name, index := l.Attrs().Name, l.Attrs().Index
	sides, err := attach(l, a.tables, a.pins)
	if err != nil {
		return err
	}
	delete(a.failed, index)
	a.attached[index] = attached{name, sides}
	a.log.Info().Str("interface", name).Int("index", index).Str("by", fmt.Sprintf("%T", sides[0])).Msg("interface is watched")
	return nil
}

// forget drops what was attached to interfaces that are gone.
func (a *Agent) forget(links []netlink.Link) {
	there := make(map[int]bool, len(links))
	for _, l := range links {
		there[l.Attrs().Index] = true
	}
	for index, at := range a.attached {
		if there[index] {
			continue
		}
		for _, side := range at.sides {
			if err := side.Remove(); err != nil {
				a.log.Warn().Err(err).Str("interface", at.name).Msg("gone interface's attachment stays")
			}
		}
		delete(a.attached, index)
		a.log.Info().Str("interface", at.name).Msg("interface is gone")
	}
}
