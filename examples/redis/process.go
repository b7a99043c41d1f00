//go:build linux

package redistest

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"fivetuple/examples/lab"
)

// process is a child that is killed when its parent is gone.
type process struct {
	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended
}

// run starts a child, in a namespace unless in is nil. Its death signal follows the thread that has forked it, so that one is
// held until the child has ended.
func run(in *lab.Namespace, cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := &process{cmd: cmd, gone: make(chan struct{})}
	started := make(chan error, 1)
	live := func() error {
		if err := cmd.Start(); err != nil {
			return err
		}
		started <- nil
		_ = cmd.Wait() // how it ended is in its log
		return nil
	}
	go func() {
		defer close(p.gone)
		if err := onThread(in, live); err != nil {
			select {
			case started <- err:
			default: // it is no matter of the start
			}
		}
	}()
	return p, <-started
}

// onThread is in.Do, also for the test's own network.
func onThread(in *lab.Namespace, do func() error) error {
	if in != nil {
		return in.Do(do)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return do()
}

// signal sends a signal, and waits for the end if the signal is one that ends the process.
func (p *process) signal(s syscall.Signal) error {
	err := p.cmd.Process.Signal(s)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	if err == nil && (s == syscall.SIGKILL || s == syscall.SIGTERM) {
		<-p.gone
	}
	return err
}

func (p *process) isGone() bool {
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}
