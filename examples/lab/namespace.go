//go:build linux

package lab

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace without a name: a file descriptor keeps it, so nothing of it is left when
// the process ends.
type Namespace struct {
	Name string // client, gateway or upstream, for messages

	file *os.File

	mu       sync.Mutex
	closed   bool
	children []*os.Process
	captures []*Capture
}

// threadNamespace is the namespace of the thread that opens it. /proc/self would be the main thread's.
const threadNamespace = "/proc/thread-self/ns/net"

func newNamespace(name string) (*Namespace, error) {
	n := &Namespace{Name: name}
	err := onOtherThread(
		func() error { return unix.Unshare(unix.CLONE_NEWNET) },
		func() (err error) {
			if err = errors.Join(loopbackUp(), receiveInOrder()); err == nil {
				n.file, err = os.Open(threadNamespace)
			}
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("make namespace %s: %w", name, err)
	}
	return n, nil
}

// Do runs do inside the namespace and returns its error. Sockets made and processes started by do itself are
// in the namespace and stay there; goroutines that do starts are not. do runs on a goroutine of its own, so
// t.FailNow must not be called in it; a Goexit is returned as an error.
func (n *Namespace) Do(do func() error) error {
	if err := onOtherThread(n.enter, do); err != nil {
		return fmt.Errorf("in namespace %s: %w", n.Name, err)
	}
	return nil
}

// enter moves the calling thread. The file is held meanwhile, so that a Close cannot give its number to
// another.
func (n *Namespace) enter() error {
	return n.withFD(func(fd int) error { return unix.Setns(fd, unix.CLONE_NEWNET) })
}

func (n *Namespace) withFD(use func(fd int) error) error {
	conn, err := n.file.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := conn.Control(func(fd uintptr) { inner = use(int(fd)) }); err != nil {
		return err
	}
	return inner
}

var errGone = errors.New("the function ended without returning")

// onOtherThread runs enter, which changes the namespace of its thread, then do, then takes the thread home.
//
// A network namespace belongs to the thread, and Go moves goroutines between threads: without LockOSThread do
// might run outside, and anybody's code inside. The lock needs a goroutine of its own, because a thread that
// cannot be taken home must not go back to the others: a goroutine that ends while locked takes its thread
// with it. The Go runtime never clones a new thread from a locked one, so no other thread starts life in the
// namespace.
func onOtherThread(enter, do func() error) error {
	done := make(chan error, 1)
	go func() {
		result := errGone
		defer func() { done <- result }()
		runtime.LockOSThread()
		home, err := os.Open(threadNamespace)
		if err != nil {
			runtime.UnlockOSThread()
			result = err
			return
		}
		defer func() {
			err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET)
			err = errors.Join(err, home.Close())
			if err != nil {
				result = errors.Join(result, fmt.Errorf("leave namespace: %w", err))
				return
			}
			runtime.UnlockOSThread()
		}()
		if err := enter(); err != nil {
			result = fmt.Errorf("enter namespace: %w", err)
			return
		}
		result = do()
	}()
	return <-done
}

// quiet stops what runs inside, and lets nothing new begin.
func (n *Namespace) quiet() error {
	n.mu.Lock()
	children, captures := n.children, n.captures
	n.children, n.captures = nil, nil
	n.closed = true
	n.mu.Unlock()

	var errs []error
	for _, c := range captures {
		errs = append(errs, c.stopOnce())
	}
	for _, p := range children {
		if err := p.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			errs = append(errs, fmt.Errorf("kill process %d: %w", p.Pid, err))
		}
	}
	return errors.Join(errs...)
}

// remove needs a namespace that is quiet.
func (n *Namespace) remove() error {
	return errors.Join(n.Do(removeLinks), n.file.Close())
}
