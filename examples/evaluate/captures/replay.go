package captures

import (
	"errors"
	"fmt"
	"time"

	"fivetuple/bpf"
	"fivetuple/bpf/capture"
	"fivetuple/correlator/watch"
	"fivetuple/examples/evaluate/fixed"
	"fivetuple/examples/evaluate/outcome"
)

// aftermath is how many looks there are after a capture's end.
const aftermath = 4

// longestSilence, in looks: a capture may have a day without a packet in it, in which nothing changes.
const longestSilence = 120

// found is what a replay raised.
type found struct {
	first   uint64 // the first frame's time
	last    uint64 // and the last one's
	frames  int
	events  []event
	skipped error                  // names packets that cannot be replayed; nil: all can
	sources map[fixed.Address]bool // that sent toward the local side
	meter   *fixed.Frames
}

// event is a flag that began.
type event struct {
	at      uint64
	on      string
	signals string
}

// player replays one capture.
type player struct {
	found
	replay  *bpf.Replay
	tables  *bpf.Scanner
	watcher *watch.Watcher
	next    uint64 // time of the next look
}

// play replays a capture, with a look at each second of its time.
func play(path string, o watch.Options) (f found, err error) {
	c, damage := capture.ReadFile(path)
	frames := c.Frames
	if len(frames) == 0 {
		return f, damage
	}
	// A capture may be cut at its end; what is whole counts.
	if damage != nil && !errors.Is(damage, capture.ErrCut) && !errors.Is(damage, capture.ErrDamage) {
		return f, damage
	}
	p := player{found: found{skipped: c.SkipError(), meter: fixed.NewFrames(), frames: len(frames), sources: map[fixed.Address]bool{}}}
	if p.watcher, err = watch.New(o); err != nil {
		return f, err
	}
	if p.replay, err = bpf.NewReplay(capture.Count(frames)); err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, p.replay.Close()) }()
	p.tables = p.replay.Scanner()
	sides := capture.Called(frames)
	p.first = uint64(frames[0].Time.UnixNano())
	p.next = p.first
	for _, frame := range frames {
		if err := p.take(frame, sides); err != nil {
			return f, fmt.Errorf("packet %d: %w", frame.Number, err)
		}
	}
	for range aftermath {
		if err := p.look(); err != nil {
			return f, err
		}
	}
	p.meter.Tick(p.last)
	return p.found, nil
}

// take looks as often as the frame is later, and gives it to the program.
func (p *player) take(frame capture.Frame, sides *capture.Sides) error {
	at := uint64(frame.Time.UnixNano())
	for looks := 0; p.next <= at; looks++ {
		if looks == longestSilence {
			p.next = at - at%uint64(time.Second)
		}
		if err := p.look(); err != nil {
			return err
		}
	}
	p.last = max(p.last, at)
	packet := bpf.PacketOf(frame, sides.IsRX(frame))
	packet.Unasked = sides.Unasked(frame)
	p.meter.TakePacket(&packet)
	if packet.RX {
		p.sources[packet.Key.Remote] = true
	}
	err := p.replay.Packet(packet)
	if errors.Is(err, bpf.ErrNotTaken) {
		return nil // a real interface would; make conformance names those
	}
	return err
}

// look is one of the watcher's.
func (p *player) look() error {
	report, err := p.watcher.Tick(bpf.ReplayTime(time.Unix(0, int64(p.next))), p.tables)
	if err != nil {
		return err
	}
	for _, e := range report.Began {
		on := outcome.On(e.Key)
		p.events = append(p.events, event{p.next, on, e.Verdict.Signals.String()})
	}
	p.next += uint64(time.Second)
	return nil
}
