package bpf

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"fivetuple/correlator/flow"
)

// namespace is a network namespace that lives as long as the test.
type namespace struct{ file *os.File }

// newNamespace makes a network namespace whose loopback is up.
func newNamespace(t testing.TB) *namespace {
	t.Helper()
	needRoot(t)
	n := new(namespace)
	done := make(chan error)
	go func() {
		// A namespace is a thread's, not a process's. The thread is locked, so that no other goroutine runs in
		// the namespace, and never unlocked, so that it ends with this goroutine instead of being used again.
		runtime.LockOSThread()
		done <- n.make()
	}()
	must(t, <-done)
	t.Cleanup(func() { _ = n.file.Close() })
	return n
}

func (n *namespace) make() (err error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make network namespace: %w", err)
	}
	if n.file, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// enter moves the calling goroutine into the namespace for good: its thread is locked, and thrown away with it, for the
// reason given in newNamespace. A subtest is another goroutine, and so is whatever the code under test starts.
func (n *namespace) enter() error {
	runtime.LockOSThread()
	return unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET)
}

// inNamespace moves the test into a new namespace.
func inNamespace(t testing.TB) *namespace {
	t.Helper()
	n := newNamespace(t)
	must(t, n.enter())
	return n
}

// start runs a function in the namespace, and returns the channel that gives its error.
func (n *namespace) start(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() {
		if err := n.enter(); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return done
}

// addVeth makes a pair of interfaces: "ft0" here with address 192.0.2.1, "peer" in the other namespace with 192.0.2.2.
func addVeth(t testing.TB, other *namespace) netlink.Link {
	t.Helper()
	const name = "ft0"
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "peer"}))
	peer := linkNamed(t, "peer")
	must(t, netlink.LinkSetNsFd(peer, int(other.file.Fd())))
	must(t, setUp(name, "192.0.2.1/24"))
	must(t, <-other.start(func() error { return setUp("peer", "192.0.2.2/24") }))
	return linkNamed(t, name)
}

func setUp(name, address string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	a, err := netlink.ParseAddr(address)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(l, a); err != nil {
		return err
	}
	return netlink.LinkSetUp(l)
}

func linkNamed(t testing.TB, name string) netlink.Link {
	t.Helper()
	l, err := netlink.LinkByName(name)
	must(t, err)
	return l
}

// echo answers whatever it is sent, on connections that it accepts here.
func echo(t testing.TB, address string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", address)
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// dial opens a connection from here, and returns it with its key as seen from the server.
func dial(t testing.TB, server netip.AddrPort) (net.Conn, flow.Key) {
	t.Helper()
	c, err := net.DialTimeout("tcp", server.String(), 5*time.Second)
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c, flow.NewKey(flow.TCP, server, c.LocalAddr().(*net.TCPAddr).AddrPort())
}

// call sends a text and waits until it has come back.
func call(t testing.TB, c net.Conn, text string) {
	t.Helper()
	must(t, callOnce(c, text))
}

func callOnce(c net.Conn, text string) error {
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, len(text)))
	return err
}

// eventually polls until a condition holds, at most for a time.
func eventually(t testing.TB, within time.Duration, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// pinFolder is a folder for pins that other users can reach, on a BPF file system of its own if it is mounted.
func pinFolder(t testing.TB, mounted bool) string {
	t.Helper()
	needRoot(t)
	top := t.TempDir()
	must(t, os.Chmod(filepath.Dir(top), 0o755)) //nolint:gosec // other users have to pass through it
	root := filepath.Join(top, "pins")
	must(t, os.Mkdir(root, 0o755))
	t.Cleanup(func() {
		for unix.Unmount(root, unix.MNT_DETACH) == nil { // also what the code under test has mounted and left
		}
	})
	if mounted {
		must(t, unix.Mount("bpf", root, "bpf", 0, ""))
	}
	return root
}
