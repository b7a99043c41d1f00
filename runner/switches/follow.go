package switches

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/conf/safefile"
	"fivetuple/correlator"
)

const (
	// lookEvery is how often the runner looks whether the file has changed.
	lookEvery = 500 * time.Millisecond
	// settle is the age from which on a file's time stamp tells it from a later one: the kernel's and a file system's
	// clocks are coarse, so that a younger file is read again at each look.
	settle = 2 * time.Second
)

// Follower is the runner's view of a switch file, at most lookEvery old. A file that is damaged or cannot be read changes
// nothing: the last good one stays in force. If there was none since the start, nothing is off: a runner that did not
// start would fail every call. A file that is gone says that nothing is off.
type Follower struct {
	path    string
	log     zerolog.Logger
	current atomic.Pointer[Set]
	end     chan struct{}
	ended   chan struct{}

	// Of the one that looks.
	seen      version // of the file that was read last, if that is to be relied on
	complaint string  // about the file, as it was logged
	foreign   string  // who else can change it, as it was logged
	file      *os.File
}

// version tells one state of a file from another; the zero version is read again.
type version struct {
	missing        bool
	dev, ino       uint64
	size           int64
	modified, meta syscall.Timespec
}

// Follow reads the file, and again whenever it changes, until Close.
func Follow(path string, log zerolog.Logger) *Follower {
	f := newFollower(path, log)
	go f.run()
	return f
}

func newFollower(path string, log zerolog.Logger) *Follower {
	f := &Follower{path: path, log: log, end: make(chan struct{}), ended: make(chan struct{})}
	f.current.Store(&Set{})
	f.look(time.Now())
	return f
}

// Off says whether a route is off.
func (f *Follower) Off(r correlator.Route) bool { return f.current.Load().Off(r) }

// Close ends following; what was off stays off. It is called once.
func (f *Follower) Close() {
	close(f.end)
	<-f.ended
}

func (f *Follower) run() {
	defer close(f.ended)
	defer f.keep(nil)
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-f.end:
			return
		case now := <-ticker.C:
			f.look(now)
		}
	}
}

// look reads the file if it is not the one that was read last.
func (f *Follower) look(now time.Time) {
	info, err := os.Stat(f.path)
	if err == nil && versionOf(info) == f.seen || errors.Is(err, fs.ErrNotExist) && f.seen.missing {
		return
	}
	file, err := open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		f.keep(nil)
		f.take(Set{})
		f.seen = version{missing: true}
		return
	}
	f.seen = version{}
	if err != nil {
		f.refuse(err)
		return
	}
	if info, err := file.Stat(); err == nil && now.Sub(info.ModTime()).Abs() > settle {
		f.seen = versionOf(info)
	}
	set, err := readSet(file)
	if err != nil {
		f.refuse(errors.Join(err, file.Close()))
		return
	}
	f.take(set)
	if why := safefile.Foreign(file); why != nil && why.Error() != f.foreign {
		f.foreign = why.Error()
		f.log.Warn().Err(why).Str("file", f.path).Msg("others can change the switch file")
	}
	f.keep(file)
}

// take puts a set in force.
func (f *Follower) take(set Set) {
	if f.complaint == "" && maps.Equal(set.ids, f.current.Load().ids) {
		return
	}
	f.complaint = ""
	f.current.Store(&set)
	f.log.Info().Str("file", f.path).Int("off", set.Len()).Msg("switches are in force")
}

// refuse leaves the last good file in force, and says so once.
func (f *Follower) refuse(err error) {
	f.keep(nil)
	if err.Error() == f.complaint {
		return
	}
	f.complaint = err.Error()
	f.log.Error().Err(err).Str("file", f.path).Int("off", f.current.Load().Len()).
		Msg("switches: the last good file stays in force; if there was none, nothing is off")
}

// keep holds the file that is in force, which tells writers so, and lets the one before go.
func (f *Follower) keep(file *os.File) {
	if file != nil {
		if err := hold(file); err != nil { // switches work all the same
			f.log.Debug().Err(err).Str("file", f.path).Msg("no lock on the switch file: `fivetuple route` will see no runner")
		}
	}
	if f.file != nil {
		_ = f.file.Close() // it was only read
	}
	f.file = file
}

func versionOf(info fs.FileInfo) version {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		panic(fmt.Sprintf("switches: a file's information is a %T", info.Sys())) // on Linux it is not
	}
	return version{dev: s.Dev, ino: s.Ino, size: s.Size, modified: s.Mtim, meta: s.Ctim}
}
