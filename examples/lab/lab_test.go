//go:build linux

package lab

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestLabReachability(t *testing.T) {
	l := newLab(t, Options{MTU: 9000})
	for _, c := range []struct {
		name     string
		from, to *Namespace
		address  string
	}{
		{"client to gateway", l.Client, l.Gateway, GatewayFrontIPv4},
		{"client to gateway, IPv6", l.Client, l.Gateway, GatewayFrontIPv6},
		{"gateway to upstream", l.Gateway, l.Upstream, UpstreamIPv4},
		{"gateway to upstream, IPv6", l.Gateway, l.Upstream, UpstreamIPv6},
		{"upstream to gateway", l.Upstream, l.Gateway, GatewayBackIPv4},
		{"gateway to client", l.Gateway, l.Client, ClientIPv6},
		{"loopback", l.Upstream, l.Upstream, "127.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			listener, err := c.to.Listen(t.Context(), "tcp", net.JoinHostPort(c.address, "0"))
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			conn, err := c.from.DialContext(deadline(t), "tcp", listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
		})
	}
	if conn, err := l.Client.DialContext(deadline(t), "tcp", net.JoinHostPort(UpstreamIPv4, "1")); !errors.Is(err, unix.ENETUNREACH) {
		t.Errorf("client to upstream: %v %v, want no route: all goes through the gateway's programs", conn, err)
	}
	err := l.Gateway.Do(func() error {
		front, err := netlink.LinkByName(GatewayFrontInterface)
		if err == nil && front.Attrs().MTU != 9000 {
			t.Errorf("MTU %d, want 9000", front.Attrs().MTU)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestLabRefuses(t *testing.T) {
	for _, mtu := range []int{-1, 1279, 65536} {
		if l, err := New(t.Context(), Options{MTU: mtu}); err == nil {
			t.Errorf("MTU %d is taken", mtu)
			l.Close()
		}
	}
	l := newLab(t, Options{})
	if listener, err := l.Client.Listen(t.Context(), "tcp", "localhost:0"); err == nil {
		t.Error("listens on a name", listener.Close())
	}
	if conn, err := l.Client.DialContext(t.Context(), "tcp", "localhost:1"); err == nil {
		t.Error("dials a name", conn.Close())
	}
	command := exec.Command("true")
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := l.Client.Start(command); err == nil {
		t.Error("starts with Pdeathsig", command.Wait())
	}
}

func TestNamespaceDo(t *testing.T) {
	l := newLab(t, Options{})
	failure := errors.New("no")
	if err := l.Client.Do(func() error { return failure }); !errors.Is(err, failure) {
		t.Errorf("error %v, want the function's", err)
	}
	if err := l.Client.Do(func() error { runtime.Goexit(); return nil }); !errors.Is(err, errGone) {
		t.Errorf("error %v, want errGone", err)
	}
	// One inside the other.
	err := l.Client.Do(func() error {
		return l.Upstream.Do(func() error {
			_, err := netlink.LinkByName(UpstreamInterface)
			return err
		})
	})
	if err != nil {
		t.Error(err)
	}
}

func TestNamespaceStart(t *testing.T) {
	l := newLab(t, Options{})
	var out bytes.Buffer
	command := exec.Command("cat", "/proc/self/net/dev")
	command.Stdout = &out
	if err := l.Upstream.Start(command); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), UpstreamInterface+":") {
		t.Errorf("the process sees\n%s", out.String())
	}
}

// TestLabClose wants nothing left: descriptors, threads elsewhere, interfaces, processes, the host's setting.
func TestLabClose(t *testing.T) {
	requireLab(t)
	// What the runtime and net open once is open before the count.
	warm, err := New(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := warm.Close(); err != nil {
		t.Fatal(err)
	}
	before, links := descriptors(t), interfaces(t)

	l, err := New(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Gateway.Capture(GatewayFrontInterface, CaptureOptions{}); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("sleep", "1000")
	if err := l.Upstream.Start(command); err != nil {
		t.Fatal(err)
	}
	inside := keepOpen(t, l.Gateway)
	for range 2 {
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if err := command.Wait(); command.ProcessState.Success() {
		t.Errorf("the process ended by itself: %v", err)
	}
	if left := inside(t); left != "lo" {
		t.Errorf("interfaces left in the gateway's namespace: %s", left)
	}
	if got := interfaces(t); got != links {
		t.Errorf("interfaces of this namespace: %s, before: %s", got, links)
	}
	if got := descriptors(t); got != before {
		t.Errorf("descriptors left:\n%s\nbefore:\n%s", got, before)
	}
	checkThreads(t)
	if err := l.Client.Do(func() error { return nil }); err == nil {
		t.Error("Do works in a closed namespace")
	}
	if err := l.Client.Start(exec.Command("true")); err == nil {
		t.Error("Start works in a closed namespace")
	}
}

// TestLabHalfBuilt ends the building at different points.
func TestLabHalfBuilt(t *testing.T) {
	requireLab(t)
	before := descriptors(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if l, err := New(ended, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("lab %v, error %v; want Canceled", l, err)
	}
	for _, wait := range []time.Duration{time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond} {
		short, cancel := context.WithTimeout(t.Context(), wait)
		if l, err := New(short, Options{}); err == nil {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
		cancel()
	}
	if err := (&Lab{}).Close(); err != nil {
		t.Errorf("close of nothing: %v", err)
	}
	if got := descriptors(t); got != before {
		t.Errorf("descriptors left:\n%s\nbefore:\n%s", got, before)
	}
	checkThreads(t)
}

func TestMissing(t *testing.T) {
	requireLab(t)
	if missing := Missing(); len(missing) > 0 {
		t.Error(missing)
	}
}

// TestMissingUnprivileged runs itself as nobody.
func TestMissingUnprivileged(t *testing.T) {
	if os.Getenv("LAB_TEST_UNPRIVILEGED") == "1" {
		if missing := Missing(); len(missing) != 3 {
			t.Errorf("missing: %q, want three capabilities", missing)
		}
		return
	}
	requireLab(t)
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	// The test binary lies where nobody may not read; its descriptor is passed on.
	command := exec.Command("/proc/self/fd/3", "-test.run=^TestMissingUnprivileged$")
	command.ExtraFiles = []*os.File{self}
	command.Dir = "/"
	command.Env = append(os.Environ(), "LAB_TEST_UNPRIVILEGED=1")
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// descriptors lists what this process has open, without the listing's own and the runtime's own.
func descriptors(t *testing.T) string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name()))
		if err == nil && !strings.HasPrefix(target, "/proc/") && !strings.HasPrefix(target, "anon_inode:[event") {
			open = append(open, e.Name()+" "+target)
		}
	}
	return strings.Join(open, "\n")
}

func interfaces(t *testing.T) string {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, i := range all {
		names = append(names, i.Name)
	}
	return strings.Join(names, " ")
}

// keepOpen returns a function that lists the namespace's interfaces after its Close.
func keepOpen(t *testing.T, n *Namespace) func(*testing.T) string {
	t.Helper()
	var copied *os.File
	err := n.withFD(func(fd int) error {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		copied = os.NewFile(uintptr(dup), n.Name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return func(t *testing.T) string {
		t.Helper()
		defer copied.Close()
		var names string
		again := &Namespace{Name: n.Name, file: copied}
		if err := again.Do(func() error { names = interfaces(t); return nil }); err != nil {
			t.Error(err)
		}
		return names
	}
}

// checkThreads wants every thread of this process where its first one is.
func checkThreads(t *testing.T) {
	t.Helper()
	home, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	threads, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil || len(threads) == 0 {
		t.Fatal(threads, err)
	}
	for _, thread := range threads {
		if at, err := os.Readlink(thread); err == nil && at != home {
			t.Errorf("%s is in %s, want %s", thread, at, home)
		}
	}
}
