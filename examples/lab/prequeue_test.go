//go:build linux

package lab

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// sysctlFile stands in for the sysctl.
func sysctlFile(t *testing.T, value string) (sysctl, lock string, read func() string) {
	t.Helper()
	dir := t.TempDir()
	sysctl, lock = filepath.Join(dir, "sysctl"), filepath.Join(dir, "lock")
	if err := os.WriteFile(sysctl, []byte(value+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return sysctl, lock, func() string {
		data, err := os.ReadFile(sysctl)
		if err != nil {
			t.Error(err)
		}
		return strings.TrimSpace(string(data))
	}
}

func TestStampLease(t *testing.T) {
	for _, found := range []string{"1", "0"} {
		sysctl, lock, read := sysctlFile(t, found)
		first, err := leaseStamps(sysctl, lock)
		if err != nil {
			t.Fatal(err)
		}
		second, err := leaseStamps(sysctl, lock)
		if err != nil {
			t.Fatal(err)
		}
		// The first to come is the first to go: the other still counts on it.
		if err := first.release(); err != nil {
			t.Error(err)
		}
		if got := read(); got != "0" {
			t.Errorf("%s while one lab is open", got)
		}
		if err := second.release(); err != nil {
			t.Error(err)
		}
		if got := read(); got != found {
			t.Errorf("%s after all, %s before", got, found)
		}
	}
}

func TestStampLeaseAfterDeath(t *testing.T) {
	sysctl, lock, read := sysctlFile(t, "1")
	dead, err := leaseStamps(sysctl, lock)
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.lock.Close(); err != nil {
		t.Fatal(err)
	}
	next, err := leaseStamps(sysctl, lock)
	if err != nil {
		t.Fatal(err)
	}
	if err := next.release(); err != nil {
		t.Error(err)
	}
	if got := read(); got != "1" {
		t.Errorf("%s after all, 1 before the lab that died", got)
	}
}

func TestStampLeaseTogether(t *testing.T) {
	sysctl, lock, read := sysctlFile(t, "1")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				s, err := leaseStamps(sysctl, lock)
				if err != nil {
					t.Error(err)
					return
				}
				if got := read(); got != "0" {
					t.Errorf("%s under a lease", got)
				}
				if err := s.release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got := read(); got != "1" {
		t.Errorf("%s after all, 1 before", got)
	}
}

func TestStampLeaseRefused(t *testing.T) {
	dir := t.TempDir()
	if s, err := leaseStamps(filepath.Join(dir, "none"), filepath.Join(dir, "lock")); err == nil {
		t.Error("leases what is not there", s.release())
	}
}
