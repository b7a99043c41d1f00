package baseline

import (
	"bufio"
	"cmp"
	"encoding/json"
	"io"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Changed says whether there is anything that Save has not written yet.
func (b *Baselines) Changed() bool {
	b.rotating.Lock()
	defer b.rotating.Unlock()
	return b.changed
}

// Close closes the windows that have enough calls before their time, so that Save has them: the process ends.
func (b *Baselines) Close(now uint64) (shifts []Shift) {
	b.rotating.Lock()
	defer b.rotating.Unlock()
	b.publish(now)
	for _, e := range append(slices.Clip(b.entries), b.shared) {
		if w, joint, ok := b.over(e, now, true); ok {
			shifts = b.closeWindow(e, now, &w, &joint, shifts)
		}
	}
	return shifts
}

// Save writes all closed windows, and what is usual. Neither calls nor rotations wait for the writer.
func (b *Baselines) Save(out io.Writer) error {
	keys := b.snapshot()
	w := &summed{out: bufio.NewWriter(out)}
	w.sum.Reset()
	lines := json.NewEncoder(w)
	if err := lines.Encode(fileHeader{Format: formatName, Version: Version, Salt: b.salt}); err != nil {
		return err
	}
	for _, k := range keys {
		if err := lines.Encode(k.line()); err != nil {
			return err
		}
	}
	if err := lines.Encode(fileTrailer{Keys: len(keys), Sum: w.sum.Sum64()}); err != nil {
		return err
	}
	if err := w.out.Flush(); err != nil {
		return err
	}
	b.counters.saves.Add(1)
	return nil
}

// saved is a key as it is at the moment of a snapshot. Windows never change.
type saved struct {
	fileKey[[]fileWindow]
	windows []*window
}

// snapshot returns what has to be written. What changes from here on is for the next Save.
func (b *Baselines) snapshot() []saved {
	b.rotating.Lock()
	defer b.rotating.Unlock()
	b.changed = false
	var keys []saved
	for _, e := range append(slices.Clip(b.entries), b.shared) {
		if len(e.closed) == 0 {
			continue
		}
		e.mu.Lock()
		called := b.wall(e.last)
		e.mu.Unlock()
		keys = append(keys, saved{fileKey: fileKey[[]fileWindow]{
			Route: e.key.Route, Method: e.key.Method, Shared: e == b.shared, Called: called, Steps: e.steps, Usual: *e.usual.Load(),
		}, windows: e.closed})
	}
	slices.SortFunc(keys, func(x, y saved) int {
		return cmp.Or(cmp.Compare(y.Called, x.Called), cmp.Compare(x.Route, y.Route), cmp.Compare(x.Method, y.Method))
	})
	return keys
}

func (s *saved) line() *fileKey[[]fileWindow] {
	for _, w := range s.windows {
		f := fileWindow{From: w.From, To: w.To, Weight: w.Weight, Sources: w.Sources, Sole: w.Sole, Rate: w.Rate}
		for q, p := range w.Sketches {
			f.Sketches[q] = p
		}
		s.Windows = append(s.Windows, f)
	}
	return &s.fileKey
}

// summed is a writer that hashes what it is given.
type summed struct {
	out *bufio.Writer
	sum xxhash.Digest
}

func (s *summed) Write(p []byte) (int, error) {
	_, _ = s.sum.Write(p) // never fails
	return s.out.Write(p)
}
