package bpf

import (
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// tickEvery is how often the agent looks for new interfaces, and how often the watcher runs.
	tickEvery = time.Second
	// checkEvery is how often the agent checks that its programs are still attached.
	checkEvery = 3 * time.Second
	// maxRest is the longest rest between two attempts to attach where somebody keeps detaching; after calm without a
	// detachment the next one is answered at once again.
	maxRest = 5 * time.Minute
	calm    = 10 * time.Minute
	// aloneLimit is how long the loopback may be the only interface left.
	aloneLimit = 10 * time.Second
	// listTries is how often a list of interfaces is read again that changed while it was read.
	listTries = 10
)

// ErrNoInterface means that no interface but the loopback has been left for too long.
var ErrNoInterface = errors.New("no interface but the loopback is left")

// attacher keeps the programs on the chosen interfaces: on new ones, and again where somebody has detached them. It
// belongs to one goroutine, whose thread is in the interfaces' network namespace.
type attacher struct {
	patterns []string
	log      zerolog.Logger
	tables   *tables
	pins     *pins
	watched  map[int]*watched // by interface index
	failed   map[int]string   // interfaces that could not be attached to, whose failure was logged
	unlisted bool             // the last list could not be read, and that was logged
	checked  uint64           // CLOCK_MONOTONIC nanoseconds of the last check
	alone    uint64           // since when no interface but the loopback is left; 0: there is one
	warned   bool             // that none is left
}

// watched is an interface with the program on its sides.
type watched struct {
	link  netlink.Link
	sides map[side]attachment // one that is not there could not be attached again
	ahead map[side]string     // programs of others that run before it, as they were logged
	// Where somebody detaches the program: when it may be attached again, and the rest after that.
	retry uint64
	rest  time.Duration
}

func newAttacher(patterns []string, log zerolog.Logger) *attacher {
	return &attacher{patterns: patterns, log: log, watched: make(map[int]*watched), failed: make(map[int]string)}
}

// refresh brings the attachments up to date with the interfaces. Nothing here is fatal: what fails is logged once and
// tried again.
func (a *attacher) refresh(now uint64) {
	err := a.attachAll(false)
	if err != nil && !a.unlisted {
		a.log.Warn().Err(err).Msg("failed to list interfaces, retrying")
	}
	a.unlisted = err != nil
	if now-a.checked >= uint64(checkEvery) {
		a.checked = now
		a.check(now)
	}
	a.noteAlone(now)
}

// attachAll attaches to the chosen interfaces that are new. At the start any failure is returned; later one is logged
// once, because the other interfaces are served.
func (a *attacher) attachAll(starting bool) error {
	chosen, err := a.choose(starting)
	if err != nil {
		return err
	}
	for _, l := range chosen {
		if _, ok := a.watched[l.Attrs().Index]; ok {
			continue
		}
		err := a.attachOne(l)
		if errors.Is(err, unix.ENODEV) { // it is gone again
			continue
		}
		if err != nil && starting {
			return err
		}
		if name := l.Attrs().Name; err != nil && a.failed[l.Attrs().Index] != name {
			a.failed[l.Attrs().Index] = name
			a.log.Error().Err(err).Str("interface", name).Msg("failed to attach to interface, retrying")
		}
	}
	return nil
}

// choose returns the interfaces to be attached to, and forgets those that are gone. Only at the start is it an error
// that one is missing, or all are.
func (a *attacher) choose(starting bool) ([]netlink.Link, error) {
	links, whole, err := listLinks(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	if whole {
		a.forget(links)
	}
	names, ports := splitPatterns(a.patterns)
	carrying, err := carryListeners(links, ports)
	if err != nil {
		return nil, err
	}
	chosen, err := choose(links, names)
	chosen = append(chosen, carrying...)                               // one that is chosen twice is attached to once
	if starting && err == nil && len(chosen) == 0 && len(ports) == 0 { // a listener may begin to listen later
		err = fmt.Errorf("%w: none fits %q", ErrInterface, a.patterns)
	}
	if !starting {
		err = nil
	}
	return chosen, err
}

// listLinks returns the interfaces. Where they change so fast that no list is consistent (NLM_F_DUMP_INTR), it returns
// those of the last try and whole is false: each of them was there, but others may be missing.
func listLinks(list func() ([]netlink.Link, error)) (links []netlink.Link, whole bool, err error) {
	links, err = dump(list)
	if errors.Is(err, netlink.ErrDumpInterrupted) {
		return links, false, nil
	}
	return links, err == nil, err
}

// dump reads a list from the kernel, again if it changed meanwhile or if the kernel was short of something for a moment.
func dump[T any](list func() ([]T, error)) (all []T, err error) {
	for range listTries {
		all, err = list()
		if !errors.Is(err, netlink.ErrDumpInterrupted) && !isTransient(err) {
			break
		}
	}
	return all, err
}

// isTransient reports whether the same call may succeed at the next try.
func isTransient(err error) bool {
	for _, e := range []error{unix.EINTR, unix.EAGAIN, unix.EBUSY, unix.ENOBUFS, unix.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (a *attacher) attachOne(l netlink.Link) error {
	w := &watched{link: l, sides: make(map[side]attachment), ahead: make(map[side]string)}
	for _, s := range sides() {
		at, err := attach(l, s, a.tables, a.pins)
		if err != nil {
			return errors.Join(err, w.each(attachment.Remove))
		}
		w.sides[s] = at
	}
	name, index := l.Attrs().Name, l.Attrs().Index
	delete(a.failed, index)
	a.watched[index] = w
	a.log.Info().Str("interface", name).Int("index", index).Str("by", fmt.Sprintf("%T", w.sides[ingress])).Msg("interface is watched")
	return nil
}

func (w *watched) each(do func(attachment) error) error {
	var errs []error
	for _, at := range w.sides {
		errs = append(errs, do(at))
	}
	return errors.Join(errs...)
}

// forget drops what was attached to interfaces that are gone.
func (a *attacher) forget(links []netlink.Link) {
	there := make(map[int]bool, len(links))
	for _, l := range links {
		there[l.Attrs().Index] = true
	}
	for index, w := range a.watched {
		if there[index] {
			continue
		}
		if err := w.each(attachment.Remove); err != nil {
			a.log.Warn().Err(err).Str("interface", w.link.Attrs().Name).Msg("failed to remove attachment of deleted interface")
		}
		delete(a.watched, index)
		a.log.Info().Str("interface", w.link.Attrs().Name).Msg("interface is gone")
	}
	for index := range a.failed {
		if !there[index] {
			delete(a.failed, index)
		}
	}
}

// check attaches the programs again that somebody has detached.
func (a *attacher) check(now uint64) {
	for _, w := range a.watched {
		if off := a.detached(w); len(off) > 0 && now >= w.retry {
			a.attachAgain(w, off, now)
		}
	}
}

// detached returns the sides of an interface on which the program is no longer.
func (a *attacher) detached(w *watched) (off []side) {
	for _, s := range sides() {
		at, ok := w.sides[s]
		if !ok {
			off = append(off, s)
			continue
		}
		on, ahead, err := at.InForce()
		switch {
		case err != nil: // most likely the interface is gone, which the next list shows
			a.log.Debug().Err(err).Str("interface", w.link.Attrs().Name).Msg("failed to check attachment, retrying")
		case !on:
			off = append(off, s)
		default:
			a.noteAhead(w, s, ahead)
		}
	}
	return off
}

// noteAhead logs when programs of others begin, or cease, to run before ours on a side: what they take, ours does not see.
func (a *attacher) noteAhead(w *watched, s side, ahead string) {
	if w.ahead[s] == ahead {
		return
	}
	w.ahead[s] = ahead
	log := a.log.With().Str("interface", w.link.Attrs().Name).Str("side", string(s)).Logger()
	if ahead == "" {
		log.Info().Msg("no other program runs before fivetuple's")
		return
	}
	log.Warn().Str("programs", ahead).Msg("another program runs before fivetuple's: packets that it drops or redirects are not counted")
}

// attachAgain puts programs back. Each time the rest before the next attempt doubles: who detaches them for a reason of
// their own should not have to fight the agent.
func (a *attacher) attachAgain(w *watched, off []side, now uint64) {
	log := a.log.With().Str("interface", w.link.Attrs().Name).Any("sides", off).Logger()
	if now-w.retry > uint64(calm) {
		w.rest = 0
	}
	w.rest = min(max(2*w.rest, checkEvery), maxRest)
	w.retry = now + uint64(w.rest)
	for _, s := range off {
		err := a.replace(w, s)
		if errors.Is(err, unix.ENODEV) { // the interface went with its programs
			return
		}
		if err != nil {
			log.Error().Err(err).Dur("retry_ms", w.rest).Msg("program was detached by another process; failed to attach it again")
			return
		}
	}
	if w.rest == checkEvery {
		log.Warn().Msg("program was detached by another process; attached again")
	}
	if w.rest == 2*checkEvery {
		log.Warn().Dur("longest_rest_ms", maxRest).
			Msg("program keeps being detached by another process; attaching again with growing rests, without further log lines")
	}
}

// replace attaches a side's program anew.
func (a *attacher) replace(w *watched, s side) error {
	if old, ok := w.sides[s]; ok {
		delete(w.sides, s)
		if err := old.Remove(); err != nil { // of its pin
			return err
		}
	}
	at, err := attach(w.link, s, a.tables, a.pins)
	if err == nil {
		w.sides[s] = at
	}
	return err
}

// pinAgain pins the attachments whose pins somebody has removed.
func (a *attacher) pinAgain() error {
	return a.each(func(at attachment) error {
		if l, ok := at.(tcxLink); ok {
			return errors.Join(l.Unpin(), l.pin(a.pins))
		}
		return nil
	})
}

// noteAlone follows how long no interface but the loopback is left.
func (a *attacher) noteAlone(now uint64) {
	all, loopback := a.count()
	switch left := all > loopback || a.onlyLoopback(); {
	case left && a.warned:
		a.log.Info().Msg("an interface is watched again")
		a.alone, a.warned = 0, false
	case left:
		a.alone = 0
	case a.alone == 0:
		a.alone = now
	case a.aloneTooLong(now) && !a.warned:
		a.warned = true
		a.log.Warn().Strs("interfaces", a.patterns).Msg("no interface but the loopback is left: no call of another host is seen")
	}
}

// onlyLoopback reports whether the settings name nothing else.
func (a *attacher) onlyLoopback() bool {
	for _, p := range a.patterns {
		if p != "lo" {
			return false
		}
	}
	return true
}

// aloneTooLong reports whether no interface but the loopback has been left for aloneLimit.
func (a *attacher) aloneTooLong(now uint64) bool {
	return a.alone != 0 && now-a.alone >= uint64(aloneLimit)
}

// count returns how many interfaces are watched, and how many of them are the loopback: 0 or 1.
func (a *attacher) count() (all, loopback uint32) {
	for _, w := range a.watched {
		all++
		if w.link.Attrs().EncapType == "loopback" {
			loopback = 1
		}
	}
	return all, loopback
}

// Close lets go of all attachments, which stay in force where they are pinned.
func (a *attacher) Close() error { return a.each(attachment.Close) }

// Remove detaches the programs from all interfaces.
func (a *attacher) Remove() error { return a.each(attachment.Remove) }

func (a *attacher) each(do func(attachment) error) error {
	var errs []error
	for _, w := range a.watched {
		errs = append(errs, w.each(do))
	}
	return errors.Join(errs...)
}
