package bpf

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"fivetuple/correlator/flow"
)

// Reader reads the pinned tables, and never writes them: a record by a run of the pinned program that copies it whole,
// or, where there is none, by two look-ups. It needs no capability, only the pins' file permission (Linux 5.19 and later
// where unprivileged BPF is disabled). It starts without tables and finds them when they come; it follows an agent that
// replaces them. It implements flow.Table.
type Reader struct {
	root  string
	stale time.Duration
	clock Clock
	dir   string // of the layout that this program knows
	hash  uint64
	view  atomic.Pointer[view]

	scratch sync.Pool // of *scratch
}

// pinsSeen are inodes, which tell the pins of today from those of yesterday: of the tables, and of the program; 0 if that is not there.
type pinsSeen [4]uint64

// view is what a refresh found. What it opened lives as long as somebody may hold it: the garbage collector closes it.
type view struct {
	flows, udp, meta *ebpf.Map
	read             *ebpf.Program // nil: there is none that this process may run, and a record is copied twice
	inodes           pinsSeen
	published        flow.Meta // what the agent last published; zero if there is no table
	err              error     // why there is no table
}

// refreshEvery bounds how late a reader notices new tables or an agent's end, beside the setting `stale`.
const refreshEvery = 500 * time.Millisecond

// readTries is how often a record is looked up before it is given up as busy: a writer holds it for about 100 ns.
const readTries = 16

// NewReader returns a reader of the tables below the folder of pins.
func NewReader(pins string, stale time.Duration, clock Clock) (*Reader, error) {
	hash, err := Layout()
	if err != nil {
		return nil, err
	}
	r := &Reader{root: pins, stale: stale, clock: clock, hash: hash, dir: filepath.Join(pins, layoutDir(hash))}
	r.scratch.New = func() any { return newScratch() }
	_ = r.Refresh() // no table yet is what every look-up will say
	return r, nil
}

// Run refreshes until the context ends.
func (r *Reader) Run(ctx context.Context) {
	ticker := time.NewTicker(refreshEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_ = r.Refresh() // kept in the view, and told by every look-up
		}
	}
}

// Refresh opens the tables if they are new, and reads the agent's heartbeat. It returns what Lookup would say now.
// Of two at a time the one that ends last is kept.
func (r *Reader) Refresh() error {
	next := r.look(r.view.Load())
	r.view.Store(next)
	return r.usable(next)
}

// ReaderState is what a reader knows of the tables.
type ReaderState struct {
	Err  error         // what Lookup says for every connection; nil: records can be read
	Meta flow.Meta     // what the agent last published; zero if there are no tables
	Age  time.Duration // of its heartbeat
}

// State returns what the last refresh found.
func (r *Reader) State() ReaderState {
	v := r.view.Load()
	s := ReaderState{Err: r.usable(v), Meta: v.published}
	if v.err == nil {
		s.Age = r.age(v)
	}
	return s
}

// Lookup implements flow.Table.
func (r *Reader) Lookup(k flow.Key, record *flow.Record) error {
	v := r.view.Load()
	if err := r.usable(v); err != nil {
		return err
	}
	s := r.scratch.Get().(*scratch)
	defer r.scratch.Put(s)
	s.ask.Key = k
	if v.read == nil {
		return s.readTwice(v, record)
	}
	return s.readWhole(v, record)
}

// HasUDP implements flow.Table.
func (r *Reader) HasUDP(k flow.Key) bool {
	v := r.view.Load()
	if r.usable(v) != nil {
		return false
	}
	k.Proto = flow.UDP
	var c flow.Conn
	return v.udp.Lookup(unsafe.Pointer(&k), unsafe.Pointer(&c)) == nil
}

func (r *Reader) usable(v *view) error {
	if v.err != nil {
		return v.err
	}
	if r.age(v) > r.stale {
		return flow.ErrStale
	}
	return nil
}

// age returns the time since the agent's last heartbeat.
func (r *Reader) age(v *view) time.Duration {
	return time.Duration(r.clock.Now() - v.published.Heartbeat)
}

// look opens what the pins show now, and keeps what has not changed.
func (r *Reader) look(last *view) *view {
	inodes, err := r.inodes()
	if err != nil {
		return &view{err: r.explain(err)}
	}
	if last == nil || last.flows == nil || last.inodes != inodes {
		if last, err = r.open(inodes); err != nil {
			return &view{err: r.explain(err)}
		}
	}
	var meta flow.Meta
	if err := last.meta.Lookup(uint32(0), unsafe.Pointer(&meta)); err != nil {
		return &view{err: fmt.Errorf("%w: read meta: %w", flow.ErrNoTable, err)}
	}
	if meta.Layout != r.hash {
		return &view{err: fmt.Errorf("%w: %016x, known %016x", flow.ErrLayout, meta.Layout, r.hash)}
	}
	next := *last
	next.published = meta
	return &next
}

// inodes looks at the pins: an agent replaces only the tables whose capacity has changed, and its program.
func (r *Reader) inodes() (inodes pinsSeen, err error) {
	for i, name := range [...]string{fivetupleMapFlows, fivetupleMapUdp, fivetupleMapMeta, readPin} {
		var pin unix.Stat_t
		path := filepath.Join(r.dir, name)
		switch err := unix.Stat(path, &pin); {
		case err == nil:
			inodes[i] = pin.Ino
		case name != readPin || !errors.Is(err, fs.ErrNotExist):
			return inodes, &fs.PathError{Op: "stat", Path: path, Err: err}
		}
	}
	return inodes, nil
}

func (r *Reader) open(inodes pinsSeen) (*view, error) {
	v := &view{inodes: inodes}
	for name, to := range map[string]**ebpf.Map{
		fivetupleMapFlows: &v.flows, fivetupleMapUdp: &v.udp, fivetupleMapMeta: &v.meta,
	} {
		m, err := ebpf.LoadPinnedMap(filepath.Join(r.dir, name), &ebpf.LoadPinOptions{ReadOnly: true})
		if err != nil {
			return nil, fmt.Errorf("open table %s: %w", name, err)
		}
		*to = m
	}
	v.read = openRead(r.dir, v.flows)
	return v, nil
}

// explain tells tables of another layout from no tables at all.
func (r *Reader) explain(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		entries, _ := os.ReadDir(r.root)
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), "v") && e.Name() != filepath.Base(r.dir) {
				return fmt.Errorf("%w: found %s, known %s", flow.ErrLayout, e.Name(), filepath.Base(r.dir))
			}
		}
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) { // file permissions say EACCES
		if why := refusedBPF(); why != "" {
			return fmt.Errorf("%w: %s: %w", flow.ErrNoTable, why, err)
		}
	}
	return fmt.Errorf("%w: %w", flow.ErrNoTable, err)
}

var _ flow.Table = (*Reader)(nil)
