package report

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Changed is a value that other gateways do not have yet.
type Changed struct {
	Bucket
	Route string
	*Value
}

// Loaded is the mark of what was taken from the process before this one, by Load: since then, all that has changed is this one's.
const Loaded uint64 = 1

// Changed returns the figures of all buckets of a length that have changed since a mark, and the mark of now. The mark 0 brings all that there
// is. Each has the whole bucket: it takes the place of what was published of it before.
func (f *Figures) Changed(step int64, since uint64) (changed []Changed, mark uint64) {
	var cells []*cell
	unix := f.options.Now().Unix()
	f.mu.Lock()
	f.advance(unix)
	mark = f.revision
	for _, b := range f.ring(step).buckets {
		for route, c := range b.cells {
			if c.revision > since {
				changed = append(changed, Changed{Bucket: Bucket{Step: step, Start: b.start}, Route: route})
				cells = append(cells, c)
			}
		}
	}
	f.mu.Unlock()
	for i, v := range f.pack(cells) { // what calls change meanwhile is given again
		changed[i].Value = v
	}
	return changed, mark
}

// packedAtOnce is how many routes' figures are packed while calls wait.
const packedAtOnce = 32

// pack returns the values of some cells.
func (f *Figures) pack(cells []*cell) []*Value {
	values := make([]*Value, 0, len(cells))
	for some := range slices.Chunk(cells, packedAtOnce) {
		f.mu.Lock()
		for _, c := range some {
			values = append(values, c.value())
		}
		f.mu.Unlock()
	}
	return values
}

func (f *Figures) ring(step int64) *ring {
	if step == StepHour {
		return &f.hour
	}
	return &f.fine
}

var errBucket = errors.New("not a bucket that is kept")

// Load adds what a process before this one has published of a bucket, so that what this one publishes has it, too. A bucket that is
// not kept any more is errBucket.
func (f *Figures) Load(b Bucket, route string, value []byte) error {
	v, err := Decode(value)
	if err != nil {
		return err
	}
	unix := f.options.Now().Unix()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.advance(unix)
	into, err := f.ring(b.Step).before(b)
	if err != nil {
		return err
	}
	if start := time.Unix(b.Start, 0); start.Before(f.began) {
		f.began = start
	}
	c := into.cell(f.place(name(route)))
	if c.load(v); into != f.ring(b.Step).last() {
		c.close()
	}
	return nil
}

// before returns the bucket, made if it is missing.
func (g *ring) before(b Bucket) (*bucket, error) {
	last := g.last()
	if b.Step != g.step || b.Start%g.step != 0 || b.Start > last.start || b.Start <= last.start-g.keep*g.step {
		return nil, fmt.Errorf("%w: %d s from %d", errBucket, b.Step, b.Start)
	}
	if found := g.find(b.Start); found != nil {
		return found, nil
	}
	made := &bucket{start: b.Start, cells: make(map[string]*cell)}
	at := slices.IndexFunc(g.buckets, func(o *bucket) bool { return o.start > b.Start }) // the open one, if no other, is later
	g.buckets = slices.Insert(g.buckets, at, made)
	return made, nil
}
