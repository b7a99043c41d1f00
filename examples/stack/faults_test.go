package stack_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

const (
	faultClients = 200
	faultBefore  = 300 * time.Millisecond // calls go well before the fault
	faultAfter   = time.Second            // and are watched after it
)

// load are clients that call until they are told to stop, and look at every answer.
type load struct {
	calls, failed, wrong atomic.Int64
	firstWrong           atomic.Value
	stop                 context.CancelFunc
	done                 sync.WaitGroup
}

// startLoad starts the clients, each on a connection of its own, on two routes whose plugins write in different forms.
func startLoad(ctx context.Context, s *stack.Stack) *load {
	l := &load{}
	ctx, l.stop = context.WithCancel(ctx)
	for i := range faultClients {
		l.done.Go(func() {
			for call := 0; ctx.Err() == nil; {
				call = l.connection(ctx, s, i, call)
			}
		})
	}
	return l
}

// connection calls on one connection until it breaks, which is a failed call, or the load ends.
func (l *load) connection(ctx context.Context, s *stack.Stack, client, call int) int {
	c, err := s.Dial(ctx, lab.GatewayFrontIPv4)
	if err != nil {
		if ctx.Err() == nil {
			l.failed.Add(1)
			time.Sleep(10 * time.Millisecond) // the gateway is away
		}
		return call
	}
	defer c.Close()
	for ; ctx.Err() == nil; call++ {
		path := fmt.Sprintf("/insight/%d/%d", client, call)
		if call%2 == 1 {
			path = fmt.Sprintf("/dictionary/%d/%d", client, call)
		}
		request := stack.Get(path, call%500)
		a, err := c.Do(request)
		l.calls.Add(1)
		if err != nil {
			l.failed.Add(1)
			if a.Status == 0 {
				return call + 1
			}
			time.Sleep(time.Millisecond) // as a client that backs off
			continue
		}
		if why := wrongAnswer(a, path, len(request)); why != "" {
			l.wrong.Add(1)
			l.firstWrong.CompareAndSwap(nil, why)
		}
	}
	return call
}

// wrongAnswer says what is wrong with an answer: it is another call's, or another route's plugin ran, or its figures are
// not this call's. A call without figures is not wrong.
func wrongAnswer(a stack.Answer, path string, length int) string {
	if a.Echo.Target != path {
		return fmt.Sprintf("the answer to %s is that to %s", path, a.Echo.Target)
	}
	header, other := "X-Packet-Match", "X-Packet"
	if strings.HasPrefix(path, "/dictionary") {
		header, other = other, header
	}
	value := a.Echo.Header.Get(header)
	if value == "" || a.Echo.Header.Get(other) != "" {
		return fmt.Sprintf("%s: %s: %q, %s: %q", path, header, value, other, a.Echo.Header.Get(other))
	}
	if header == "X-Packet-Match" && strings.HasPrefix(value, "exchange") {
		in, err := stack.ReadInsight(a.Echo.Header)
		if err != nil || in.Payload != int64(length) {
			return fmt.Sprintf("%s: %d bytes of payload, sent %d (%v): %s", path, in.Payload, length, err, value)
		}
	}
	return ""
}

// underFault brings a fault about while the clients call. It returns how many calls failed.
func underFault(t *testing.T, o stack.Options, fault func(ctx context.Context, s *stack.Stack) error) int64 {
	t.Helper()
	ctx, s := start(t, o)
	l := startLoad(ctx, s)
	pause(ctx, faultBefore)
	if failed := l.failed.Load(); failed > 0 && o.RunnerFiles == 0 {
		t.Errorf("%d calls failed before the fault", failed)
	}
	if err := fault(ctx, s); err != nil {
		t.Error(err)
	}
	pause(ctx, faultAfter)
	before := l.failed.Load()
	pause(ctx, faultBefore)
	late := l.failed.Load() - before
	l.stop()
	l.done.Wait()
	t.Logf("%d calls, %d failed (%d of them more than %v after), %d wrong answers", l.calls.Load(), l.failed.Load(), late,
		faultAfter, l.wrong.Load())
	if wrong := l.wrong.Load(); wrong > 0 {
		t.Errorf("%d wrong answers, the first: %v", wrong, l.firstWrong.Load())
	}
	if late > 0 {
		t.Errorf("%d calls failed when the fault was over", late)
	}
	return l.failed.Load()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func TestFaultRunnerRestarts(t *testing.T) {
	for name, end := range map[string]func(*stack.Stack) error{
		"SIGTERM": (*stack.Stack).StopRunner, "SIGKILL": (*stack.Stack).KillRunner,
	} {
		t.Run(name, func(t *testing.T) {
			underFault(t, stack.Options{}, func(ctx context.Context, s *stack.Stack) error {
				if err := end(s); err != nil {
					return err
				}
				return s.StartRunner(ctx)
			})
		})
	}
}

// TestFaultTakeOver: a runner that takes over costs no call.
func TestFaultTakeOver(t *testing.T) {
	failed := underFault(t, stack.Options{}, func(ctx context.Context, s *stack.Stack) error {
		for range 3 {
			if err := s.TakeOver(ctx); err != nil {
				return err
			}
			pause(ctx, faultBefore)
		}
		return nil
	})
	if failed > 0 {
		t.Errorf("%d calls failed, want none", failed)
	}
}

// TestFaultAgent: without an agent, or with another one, calls have no figures for a while, and go through.
func TestFaultAgent(t *testing.T) {
	for name, fault := range map[string]func(context.Context, *stack.Stack) error{
		"gone":   func(_ context.Context, s *stack.Stack) error { return s.StopAgent() },
		"killed": func(_ context.Context, s *stack.Stack) error { return s.KillAgent() },
		"pins replaced": func(ctx context.Context, s *stack.Stack) error {
			if err := s.StopAgent(); err != nil {
				return err
			}
			return s.StartAgent(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			if failed := underFault(t, stack.Options{}, fault); failed > 0 {
				t.Errorf("%d calls failed, want none", failed)
			}
		})
	}
}

// TestFaultSocketDeleted: connections that are there go on; the runner makes its socket again.
func TestFaultSocketDeleted(t *testing.T) {
	underFault(t, stack.Options{}, func(_ context.Context, s *stack.Stack) error { return os.Remove(s.Socket()) })
}

func TestFaultGatewayRestarts(t *testing.T) {
	underFault(t, stack.Options{}, func(ctx context.Context, s *stack.Stack) error { return s.RestartGateway(ctx) })
}

// TestFaultDiskFull: a log that cannot be written costs no call.
func TestFaultDiskFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	failed := underFault(t, stack.Options{Log: full}, func(context.Context, *stack.Stack) error { return nil })
	if failed > 0 {
		t.Errorf("%d calls failed, want none", failed)
	}
}

// TestFaultDescriptors: a runner that may open few files accepts connections as others end, and no call fails.
func TestFaultDescriptors(t *testing.T) {
	const files = 160 // two workers of the gateway keep 32 connections each, and open one for each of the 200 calls beyond
	log := new(output)
	failed := underFault(t, stack.Options{RunnerFiles: files, Log: log}, func(ctx context.Context, s *stack.Stack) error {
		for range 100 {
			open, err := openFiles(s)
			if err != nil || open >= files/2 {
				return err
			}
			pause(ctx, 10*time.Millisecond)
		}
		return errors.New("the gateway opened few connections")
	})
	if failed > 0 {
		t.Errorf("%d calls failed, want none:\n%s", failed, log)
	}
}

// TestFaultNoDescriptors: a runner that can open no file, because its limit is below what it has open, accepts connections when it can again,
// and no call fails.
func TestFaultNoDescriptors(t *testing.T) {
	log := new(output)
	failed := underFault(t, stack.Options{Log: log}, func(ctx context.Context, s *stack.Stack) error {
		limit := func(soft string) error { // as the runner's user: root may lack CAP_SYS_RESOURCE
			cmd := exec.CommandContext(ctx, "prlimit", "--pid", fmt.Sprint(s.RunnerPID()), "--nofile="+soft+":")
			const nobody = 65534
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			out, err := cmd.CombinedOutput()
			if err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		}
		if err := limit("4"); err != nil {
			return err
		}
		err := errors.New("files were never exhausted")
		for range 500 {
			conn, dialErr := net.Dial("unix", s.Socket()) // one that must wait
			if dialErr != nil {
				return dialErr
			}
			_ = conn.Close()
			if strings.Contains(log.String(), "cannot accept connections") {
				err = nil
				break
			}
			pause(ctx, 10*time.Millisecond)
		}
		return errors.Join(err, limit("4096"))
	})
	if failed > 0 {
		t.Errorf("%d calls failed, want none", failed)
	}
}

// openFiles returns how many files the runner has open.
func openFiles(s *stack.Stack) (int, error) {
	open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.RunnerPID()))
	return len(open), err
}
