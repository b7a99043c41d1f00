package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"fivetuple/conf/safefile"
	"fivetuple/correlator/baseline"
)

// baselineFile is where baselines outlive the runner. It is its owner's alone: that one source fed a route, and which, could
// be guessed from it.
type baselineFile struct {
	path    string // "": none
	log     zerolog.Logger
	unsaved bool // a save has failed
	told    bool // and that was logged
}

// load reads the file. What is damaged, or of a newer version, is set aside: the next save would write over it.
func (f *baselineFile) load(b *baseline.Baselines) {
	if f.path == "" {
		return
	}
	err := f.read(b)
	switch {
	case err == nil:
		f.log.Info().Str("file", f.path).Int("keys", b.Counters().Keys).Msg("baselines are loaded")
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, baseline.ErrNewer):
		f.setAside(err, ".newer-")
	case errors.Is(err, baseline.ErrDamaged):
		f.setAside(err, ".damaged-")
	default:
		f.log.Error().Err(err).Msg("baselines cannot be read: starting without")
	}
}

func (f *baselineFile) read(b *baseline.Baselines) error {
	file, err := safefile.OpenRead(f.path, 0)
	if err != nil {
		return err
	}
	if why := safefile.Foreign(file); why != nil {
		f.log.Warn().Err(why).Str("file", f.path).Msg("others can change the file of baselines")
	}
	return errors.Join(b.Load(file), file.Close())
}

func (f *baselineFile) setAside(why error, suffix string) {
	aside := f.path + suffix + time.Now().UTC().Format("20060102T150405.000Z")
	err := os.Rename(f.path, aside)
	f.log.Error().Err(errors.Join(why, err)).Str("file", f.path).Str("aside", aside).Msg("baselines cannot be read: set aside, starting without")
}

// save writes the file if there is anything new. A failure is logged once, until it works again.
func (f *baselineFile) save(b *baseline.Baselines) {
	if f.path == "" || !f.unsaved && !b.Changed() {
		return
	}
	f.unsaved = true
	if err := f.replace(b); err != nil {
		if !f.told {
			f.log.Warn().Err(err).Str("file", f.path).Msg("baselines cannot be saved; the runner goes on, and tries again each minute")
		}
		f.told = true
		return
	}
	if f.told {
		f.log.Info().Str("file", f.path).Msg("baselines are saved again")
	}
	f.unsaved, f.told = false, false
}

// replace writes a file beside the old one, and renames it when it is on the disk. Where two runners save at once (one takes
// over from the other), one waits for its next time.
func (f *baselineFile) replace(b *baseline.Baselines) (err error) {
	folder := filepath.Dir(f.path)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	file, err := openNew(f.path + ".new")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	if err := f.isNamed(file); err != nil {
		return err
	}
	if err := errors.Join(file.Truncate(0), b.Save(file), file.Sync()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), f.path); err != nil {
		return err
	}
	return safefile.SyncDir(folder)
}

// openNew opens the file that becomes the one of baselines. What is not ours there is removed, where the folder allows it.
func openNew(path string) (*os.File, error) {
	file, err := safefile.Open(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if !errors.Is(err, safefile.ErrUnsafe) {
		return file, err
	}
	if os.Remove(path) != nil {
		return nil, err
	}
	return safefile.Open(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// isNamed says whether a file is still the one of its name: another runner may have renamed it between its opening and its lock.
func (f *baselineFile) isNamed(file *os.File) error {
	ours, err := file.Stat()
	if err != nil {
		return err
	}
	if named, err := os.Lstat(file.Name()); err != nil || !os.SameFile(ours, named) {
		return errors.Join(fmt.Errorf("%s: another runner has saved at this moment", file.Name()), err)
	}
	return nil
}
