//go:build linux

package lab

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// prequeueSysctl says when the kernel takes a receive time stamp: 1 (the default) before the packet waits for
// its CPU, 0 when it is processed, which is when TC sees it. It exists once per host, in the first network
// namespace only.
const (
	prequeueSysctl = "/proc/sys/net/core/netdev_tstamp_prequeue"
	prequeueLock   = "/run/fivetuple-lab.prequeue"
)

// stampLease holds the sysctl at 0 while any lab of the host is open. Each lab has a read lock on one file,
// which holds the value that was found by the first; the last one puts it back. A lab that died leaves the
// value in the file, and the next takes it up.
type stampLease struct {
	sysctl string
	lock   *os.File
}

// The bytes of the file that are locked. The locks are those of the open file, not of the process
// (F_OFD_SETLK), so that two labs of one process count as two.
const (
	lockChanging = 0 // written while a lab comes or goes
	lockUsing    = 1 // read while a lab is open
)

// leaseStamps sets the sysctl to 0 and remembers what it was.
func leaseStamps(sysctl, lockPath string) (*stampLease, error) {
	lock, err := os.OpenFile(lockPath, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lease receive time stamps: %w", err)
	}
	s := &stampLease{sysctl: sysctl, lock: lock}
	if err := s.take(); err != nil {
		return nil, errors.Join(fmt.Errorf("lease receive time stamps: %w", err), lock.Close())
	}
	return s, nil
}

func (s *stampLease) take() error {
	if err := s.setLock(unix.F_OFD_SETLKW, unix.F_WRLCK, lockChanging); err != nil {
		return err
	}
	alone, err := s.alone()
	if err != nil {
		return err
	}
	if alone {
		if err := s.zero(); err != nil {
			return err
		}
	}
	if err := s.setLock(unix.F_OFD_SETLK, unix.F_RDLCK, lockUsing); err != nil {
		return err
	}
	return s.setLock(unix.F_OFD_SETLK, unix.F_UNLCK, lockChanging)
}

// alone says whether no other lab is open, while none can come or go.
func (s *stampLease) alone() (bool, error) {
	err := s.setLock(unix.F_OFD_SETLK, unix.F_WRLCK, lockUsing)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return false, nil
	}
	return err == nil, err
}

// setLock locks or unlocks one byte of the file.
func (s *stampLease) setLock(command int, kind int16, at int64) error {
	for {
		err := unix.FcntlFlock(s.lock.Fd(), command, &unix.Flock_t{Type: kind, Start: at, Len: 1})
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("lock %s: %w", s.lock.Name(), err)
		}
	}
}

// zero keeps the value found, unless a lab that died has already, and sets 0.
func (s *stampLease) zero() error {
	kept, err := s.kept()
	if err != nil {
		return err
	}
	if len(kept) == 0 {
		found, err := os.ReadFile(s.sysctl)
		if err != nil {
			return err
		}
		if _, err := s.lock.WriteAt(found, 0); err != nil {
			return err
		}
	}
	return os.WriteFile(s.sysctl, []byte("0\n"), 0)
}

func (s *stampLease) kept() ([]byte, error) {
	return io.ReadAll(io.NewSectionReader(s.lock, 0, 64))
}

// release puts the value back when no other lab is open. It is called once.
func (s *stampLease) release() error {
	err := s.setLock(unix.F_OFD_SETLKW, unix.F_WRLCK, lockChanging)
	if err == nil {
		var alone bool
		if alone, err = s.alone(); alone {
			err = s.restore()
		}
	}
	// Closing unlocks.
	if err = errors.Join(err, s.lock.Close()); err != nil {
		return fmt.Errorf("give receive time stamps back: %w", err)
	}
	return nil
}

func (s *stampLease) restore() error {
	kept, err := s.kept()
	if err != nil || len(kept) == 0 {
		return err
	}
	if err := os.WriteFile(s.sysctl, kept, 0); err != nil {
		return err
	}
	return s.lock.Truncate(0)
}
