package bpf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"fivetuple/correlator/flow"
)

const (
	// heartbeatEvery is how often the agent writes that it lives.
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
	took     bool // over what an earlier agent left
	attacher *attacher
	unpinned bool // pins were removed and could not be made again, and that was logged
	onTick   func()

	beats     sync.WaitGroup
	stopBeats context.CancelFunc

	mu   sync.Mutex
	meta flow.Meta
}

// Start loads, publishes and attaches, or reports what is missing and leaves nothing behind but what an earlier agent
// left. Nothing is counted without an interface: if none fits, that is an error.
func Start(o Options, log zerolog.Logger) (*Agent, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if missing := missingCapabilities(); len(missing) > 0 { // before the folder of pins is refused for want of them
		return nil, fmt.Errorf("%w: %s", ErrMissing, strings.Join(missing, "; "))
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
		options: o, log: log, clock: clock, onTick: func() {}, stopBeats: func() {},
		meta:     flow.Meta{Layout: hash, Capacity: o.Tables.capacities()},
		attacher: newAttacher(o.Interfaces, log),
	}
	if err := a.start(); err != nil {
		return nil, errors.Join(err, a.giveUp())
	}
	return a, nil
}

func (a *Agent) start() (err error) {
	// The commonest mistake comes first, so that it costs an earlier agent's tables nothing.
	if _, err := a.attacher.choose(true); err != nil {
		return err
	}
	if a.pins, err = openPins(a.options.Pins); err != nil {
		return err
	}
	a.took = a.pins.hasTables(a.meta.Layout)
	if a.tables, err = loadPinned(a.options, &a.meta, a.pins, a.clock.Now); err != nil {
		return err
	}
	a.startBeats() // before the interfaces: hundreds of them take longer than a reader waits for a heartbeat
	a.attacher.tables, a.attacher.pins = a.tables, a.pins
	if err := a.attacher.attachAll(true); err != nil {
		return err
	}
	if err := a.tables.publishRead(a.pins, a.pins.dir(a.meta.Layout)); err != nil {
		a.log.Warn().Err(err).Msg("ft_read not loaded; readers fall back to two lookups")
	}
	if !hasCapability(unix.CAP_PERFMON) {
		a.log.Warn().Msg("no capability CAP_PERFMON: each packet costs about twice as much")
	}
	a.noteInterfaces()
	return a.beat()
}

// startBeats has the heartbeat written until Close by a goroutine that does nothing else.
func (a *Agent) startBeats() {
	ctx, stop := context.WithCancel(context.Background())
	a.stopBeats = stop
	a.beats.Go(func() {
		failed := false
		every(ctx, heartbeatEvery, func() {
			err := a.beat()
			if err != nil && !failed {
				a.log.Error().Err(err).Msg("failed to write the heartbeat, retrying")
			}
			failed = err != nil
		})
	})
}

// every calls a function at an interval until the context ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do()
		}
	}
}

// OnTick has Run call a function once a second, on a goroutine of its own, while the tables are there.
func (a *Agent) OnTick(f func()) { a.onTick = f }

// Run keeps programs attached and the tables fresh until the context ends, or until the agent has no interface left and
// its options say to exit then (ErrNoInterface). It closes the agent as its options say. The interfaces are those of the
// network namespace of the caller's thread.
func (a *Agent) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var parts sync.WaitGroup
	parts.Go(func() { every(ctx, a.options.Sweep.Every, a.sweep) })
	parts.Go(func() { every(ctx, tickEvery, func() { a.onTick() }) })
	parts.Go(func() { a.removeOldLayouts(ctx, oldLayoutLife) })
	err := a.keepAttached(ctx)
	stop()
	parts.Wait()
	return errors.Join(err, a.Close())
}

// keepAttached follows the interfaces until the context ends.
func (a *Agent) keepAttached(ctx context.Context) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	every(ctx, tickEvery, func() {
		a.keepPinned()
		a.attacher.refresh(a.clock.Now())
		a.noteInterfaces()
		if a.attacher.aloneTooLong(a.clock.Now()) && a.options.OnNoInterface == NoInterfaceExit {
			end(ErrNoInterface)
		}
	})
	if errors.Is(context.Cause(ctx), ErrNoInterface) {
		return fmt.Errorf("%w: %v have passed since the last one left", ErrNoInterface, aloneLimit)
	}
	return nil
}

// keepPinned makes the pins again that somebody has removed: without them no reader finds the tables, and no later agent
// the attachments.
func (a *Agent) keepPinned() {
	if a.pins.hasTables(a.meta.Layout) {
		return
	}
	dir := a.pins.dir(a.meta.Layout)
	err := a.pins.renew()
	if err == nil {
		err = a.tables.republish(a.pins, dir)
	}
	if err == nil {
		err = errors.Join(a.tables.publishRead(a.pins, dir), a.attacher.pinAgain())
	}
	switch {
	case err == nil:
		a.log.Warn().Str("dir", dir).Msg("pins were removed by another process; made again")
	case !a.unpinned:
		a.log.Error().Err(err).Str("dir", dir).Msg("pins were removed by another process; failed to make them again, retrying")
	}
	a.unpinned = err != nil
}

// Close ends the agent: with ExitKeep the program goes on counting for the next one, with ExitRemove nothing stays.
func (a *Agent) Close() error {
	a.endBeats()
	if a.options.OnExit == ExitRemove {
		return a.remove()
	}
	return errors.Join(a.tables.Close(), a.pins.Close(), a.attacher.Close())
}

func (a *Agent) endBeats() {
	a.stopBeats()
	a.beats.Wait()
}

// giveUp ends a start that was cut short: what an earlier agent left stays as it is, and nothing stays of this one.
func (a *Agent) giveUp() error {
	a.endBeats()
	if !a.took {
		return a.remove()
	}
	errs := []error{a.pins.Close(), a.attacher.Close()}
	if a.tables != nil {
		errs = append(errs, a.tables.Close())
	}
	return errors.Join(errs...)
}

// remove takes everything away that the agent has, also after a start that was cut short.
func (a *Agent) remove() error {
	errs := []error{a.attacher.Remove()}
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
	a.mu.Lock()
	defer a.mu.Unlock()
	a.meta.Heartbeat = a.clock.Now()
	return a.tables.writeMeta(&a.meta)
}

// noteInterfaces has the next heartbeat tell how many interfaces are watched.
func (a *Agent) noteInterfaces() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.meta.Interfaces, a.meta.Loopback = a.attacher.count()
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
		a.log.Error().Err(err).Msg("failed to sweep all tables, retrying")
		return
	}
	a.mu.Lock()
	a.meta.Swept, a.meta.Entries, a.meta.Evicted = a.clock.Now(), swept.Entries, swept.Evicted
	a.mu.Unlock()
	a.log.Debug().Uints32("entries", swept.Entries[:]).Int("removed", swept.Removed).Msg("swept")
}

// removeOldLayouts removes the tables of other layouts after a time, if the context lasts so long.
func (a *Agent) removeOldLayouts(ctx context.Context, after time.Duration) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(after):
	}
	for _, dir := range a.pins.otherLayouts(layoutDir(a.meta.Layout)) {
		if err := os.RemoveAll(dir); err != nil {
			a.log.Error().Err(err).Str("dir", dir).Msg("failed to remove tables of another layout")
			continue
		}
		a.log.Info().Str("dir", dir).Msg("removed tables of another layout")
	}
}
