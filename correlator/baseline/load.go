package baseline

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/cespare/xxhash/v2"

	"fivetuple/correlator/sketch"
)

// Load takes what Save has written, before the first call; the wall clock has to be set. It takes all or nothing, except that
// of more keys or windows than the settings allow the last called and the latest stay. On ErrDamaged or ErrNewer nothing has
// changed. Whatever is read, no more memory is taken than Options.Keys keys can have.
func (b *Baselines) Load(in io.Reader) error {
	l := loader{b: b, scratch: sketch.New(), keys: map[Key]*entry{}}
	l.sum.Reset()
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		l.line++
		if err := l.take(lines.Bytes()); err != nil {
			return fmt.Errorf("line %d: %w", l.line, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w: %w", l.line+1, ErrDamaged, err)
	}
	if !l.done {
		return fmt.Errorf("line %d: %w: it ends before its last line", l.line+1, ErrDamaged)
	}
	l.install()
	return nil
}

// loader is a file that is being read.
type loader struct {
	b       *Baselines
	scratch sketch.Sketch
	line    int
	count   int // keys
	sum     xxhash.Digest
	done    bool

	salt   uint64
	keys   map[Key]*entry
	shared *entry
}

func (l *loader) take(line []byte) error {
	if l.done {
		return fmt.Errorf("%w: there is more after the last line", ErrDamaged)
	}
	if l.line == 1 {
		if err := l.header(line); err != nil {
			return err
		}
	} else if bytes.HasPrefix(line, []byte(`{"keys":`)) {
		return l.trailer(line)
	} else if err := l.key(line); err != nil {
		return err
	}
	_, _ = l.sum.Write(line) // never fails
	_, _ = l.sum.WriteString("\n")
	return nil
}

func (l *loader) header(line []byte) error {
	var h fileHeader
	if err := json.Unmarshal(line, &h); err != nil || h.Format != formatName || h.Version < 1 {
		return fmt.Errorf("%w: not the first line of %s", ErrDamaged, formatName)
	}
	if h.Version > Version {
		return fmt.Errorf("%w: %d, this program knows 1 to %d", ErrNewer, h.Version, Version)
	}
	l.salt = h.Salt
	return nil
}

func (l *loader) trailer(line []byte) error {
	var t fileTrailer
	if err := strict(line, &t); err != nil {
		return err
	}
	if t.Keys != l.count || t.Sum != l.sum.Sum64() {
		return fmt.Errorf("%w: the sum is not that of its lines", ErrDamaged)
	}
	l.done = true
	return nil
}

func (l *loader) key(line []byte) error {
	var f fileKey[[maxWindows]fileWindow]
	if err := strict(line, &f); err != nil {
		return err
	}
	l.count++
	k, ok := canonical(Key{Route: f.Route, Method: f.Method})
	if !ok || l.count > maxKeys+1 || f.Steps < 0 || !f.Usual.isSound() {
		return fmt.Errorf("%w: not a key", ErrDamaged)
	}
	e := l.b.newEntry(k.clone())
	for i := range f.Windows {
		w, err := l.window(&f.Windows[i])
		if err != nil {
			return err
		}
		if w != nil {
			e.closed = append(e.closed, w)
		}
	}
	e.closed, e.steps = last(e.closed, l.b.o.Windows), min(f.Steps, maxSteps)
	e.last = uint64(max(f.Called-l.b.offset.Load(), 1)) //nolint:gosec // above 0; before the machine started is when it did
	e.resume(&l.b.close, &f.Usual)
	switch {
	case f.Shared && l.shared == nil:
		e.key, l.shared = Key{}, e
	case f.Shared || l.keys[e.key] != nil:
		return fmt.Errorf("%w: a key twice", ErrDamaged)
	case len(l.keys) < l.b.o.Keys:
		l.keys[e.key] = e
	}
	return nil
}

// resume goes on with what was usual; whether it is enough for a verdict is a matter of the settings of now.
func (e *entry) resume(c *closer, before *Usual) {
	u := c.usual(e.closed, nil)
	e.isOwn = u.Ready
	if before.Ready && u.Ready {
		u.Quantities, u.Rate = before.Quantities, before.Rate
	} else {
		e.steps = 0
	}
	e.usual.Store(u)
}

// window checks a window; nil: there is none.
func (l *loader) window(f *fileWindow) (*window, error) {
	if f.Weight == 0 {
		return nil, nil //nolint:nilnil // the rest of an array
	}
	if !(f.Weight > 0 && f.Weight < maxWeight) || f.Sources < 0 || len(f.Rate) > maxRate {
		return nil, fmt.Errorf("%w: not a window", ErrDamaged)
	}
	w := &window{From: f.From, To: f.To, Weight: f.Weight, Sources: f.Sources, Sole: f.Sole, Rate: f.Rate}
	for q, p := range f.Sketches {
		if len(p) > maxQuantity {
			return nil, fmt.Errorf("%w: %v has a sketch of %d bytes", ErrDamaged, Quantity(q), len(p)) //nolint:gosec // below Quantities
		}
		w.Sketches[q] = p
	}
	for _, p := range append(w.Sketches[:], w.Rate) {
		l.scratch.Clear()
		if err := l.scratch.Merge(p); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	return w, nil
}

// maxSteps is how many windows of the shortest kind a day has: more steps count as many (Options.step).
const maxSteps = 24 * 60 * 60

// maxWeight is more than a window can have.
const maxWeight = 1e15

// isSound says whether it can have been learned.
func (u *Usual) isSound() bool {
	for _, r := range append(u.Quantities[:], u.Rate) {
		if !(r.P50 >= 0 && r.P50 <= r.P99 && r.P99 < 3*sketch.MaxValue) || math.IsNaN(r.P99) {
			return false
		}
	}
	return true
}

func (l *loader) install() {
	b := l.b
	b.rotating.Lock()
	defer b.rotating.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	m := &keyMap{keys: l.keys, full: len(l.keys) >= b.o.Keys}
	b.entries = nil
	for _, e := range l.keys {
		b.entries = append(b.entries, e)
	}
	clear(b.fresh)
	if l.shared != nil {
		b.shared = l.shared
	}
	b.salt = l.salt
	b.published.Store(m)
}

func strict(line []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil && d.InputOffset() != int64(len(line)) {
		err = fmt.Errorf("more than one value")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}
