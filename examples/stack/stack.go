package stack

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/bpf"
	"fivetuple/examples/gateway"
	"fivetuple/examples/lab"
)

// Options say what is run. The zero value of all but Binary is an APISIX as conf/apisix configures it.
type Options struct {
	// Binary is the path of the fivetuple program.
	Binary string
	// Offloads leaves merged packets on, as a host has them.
	Offloads bool
	// Road is what lies between the client and the gateway; nil: a cable.
	Road *lab.Impairment
	// NoSnippet takes the snippets out of the gateway's configuration, except for the map variable.
	NoSnippet bool
	// Tuple is the setting correlator.tuple; "" is its default.
	Tuple string
	// Metrics is the setting metrics.listen, in this process' own network namespace; "" serves none.
	Metrics string
	// Settings are more sections of fivetuple.yaml, by their names; they take the place of those that a stack writes.
	Settings map[string]any
	// NoAgent leaves the agent out.
	NoAgent bool
	// NoRunner leaves the runner out: somebody else serves Socket.
	NoRunner bool
	// TLS serves TLS on TLSPort, too.
	TLS *tls.Config
	// Upstream is the HOST:PORT that the gateway calls; "" is UpstreamAddress. Whoever starts a server there may call
	// UpstreamAddress behind it.
	Upstream string
	// Log gets what the agent and the runner log; nil discards it. A file is handed to them as it is.
	Log io.Writer
	// AgentAhead and RunnerAhead are the offsets of the time namespaces that the agent and the runner are in, in seconds; 0: the
	// host's namespace.
	AgentAhead, RunnerAhead int
	// RunnerFiles is how many files the runner may have open; 0 is the system's limit.
	RunnerFiles int
}

// Ports of the gateway and of the upstream.
const (
	Port         = 9080
	TLSPort      = 9443
	upstreamPort = 1980
)

// UpstreamAddress returns the HOST:PORT of the stack's own upstream.
func UpstreamAddress() string { return net.JoinHostPort(lab.UpstreamIPv4, strconv.Itoa(upstreamPort)) }

// nobody is the user and the group of the runner: one that owns nothing.
const nobody = 65534

// startWait is how long the agent and the runner may take to be ready.
const startWait = 20 * time.Second

// stopWait is how long they may take to end after SIGTERM.
const stopWait = 10 * time.Second

// Stack is everything, running. It must be closed.
type Stack struct {
	Lab     *lab.Lab
	options Options
	dir     string
	gateway *gateway.Gateway
	ups     *upstream
	agent   *process
	runner  *process
	road    *lab.Forwarder
	endRoad context.CancelFunc
}

// New starts everything; when it returns, calls are served. On failure nothing is left.
func New(ctx context.Context, o Options) (*Stack, error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Upstream == "" {
		o.Upstream = UpstreamAddress()
	}
	s := &Stack{options: o}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Stack) start(ctx context.Context) (err error) {
	if s.dir, err = makeDir(); err != nil {
		return err
	}
	if s.Lab, err = lab.New(ctx, lab.Options{Offloads: s.options.Offloads, Middle: s.options.Road != nil}); err != nil {
		return err
	}
	if err := s.openRoad(); err != nil {
		return err
	}
	if err := s.writeFiles(); err != nil {
		return err
	}
	if !s.options.NoAgent {
		if err := s.StartAgent(ctx); err != nil {
			return err
		}
	}
	if !s.options.NoRunner {
		if err := s.StartRunner(ctx); err != nil {
			return err
		}
	}
	if s.ups, err = startUpstream(ctx, s.Lab.Upstream); err != nil {
		return err
	}
	return s.startGateway(ctx)
}

// openRoad lets packets pass between the client and the gateway, if there is a road.
func (s *Stack) openRoad() (err error) {
	if s.options.Road == nil {
		return nil
	}
	ctx, end := context.WithCancel(context.Background()) // it ends with Close
	s.endRoad = end
	s.road, err = s.Lab.Middle.Forward(ctx, lab.MiddleClientInterface, lab.MiddleFrontInterface, *s.options.Road)
	return err
}

// StartAgent starts the agent in the gateway's namespace and waits until it has published that it watches the interfaces.
func (s *Stack) StartAgent(ctx context.Context) (err error) {
	clock, err := bpf.NewClock()
	if err != nil {
		return err
	}
	cmd := exec.Command(s.options.Binary, "agent", "--config", s.path(settingsFile))
	if s.options.AgentAhead != 0 {
		cmd = ahead(cmd, s.options.AgentAhead)
	}
	if s.agent, err = startProcess(cmd, s.options.Log, s.Lab.Gateway.Start); err != nil {
		return err
	}
	reader, err := bpf.NewReader(s.Pins(), time.Minute, clock)
	if err != nil {
		return err
	}
	return s.agent.waitFor(ctx, func() bool {
		return reader.Refresh() == nil && int(reader.State().Meta.Interfaces) == len(watched())
	})
}

// StopAgent ends the agent.
func (s *Stack) StopAgent() error { return s.agent.stop() }

// KillAgent kills the agent, so that its tables stay and its heartbeat ends.
func (s *Stack) KillAgent() error { return s.agent.kill() }

// StartRunner starts the runner, as nobody, and waits for its socket.
func (s *Stack) StartRunner(ctx context.Context, flags ...string) (err error) {
	cmd := exec.Command(s.options.Binary, append([]string{"run", "--config", s.path(settingsFile)}, flags...)...)
	if s.options.RunnerFiles > 0 {
		cmd = exec.Command("/bin/sh", append([]string{
			"-c", fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, s.options.RunnerFiles),
			s.options.Binary,
		}, cmd.Args[1:]...)...)
	}
	if s.options.RunnerAhead != 0 { // root makes the namespace
		user := strconv.Itoa(nobody)
		cmd.Args = append([]string{"setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--", cmd.Path}, cmd.Args[1:]...)
		cmd = ahead(cmd, s.options.RunnerAhead)
	} else {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	if s.runner, err = startProcess(cmd, s.options.Log, (*exec.Cmd).Start); err != nil {
		return err
	}
	return s.runner.waitFor(ctx, func() bool {
		c, err := net.Dial("unix", s.socket())
		return err == nil && c.Close() == nil
	})
}

// ahead returns a command in a time namespace of its own.
func ahead(cmd *exec.Cmd, seconds int) *exec.Cmd {
	return exec.Command("unshare", append([]string{"--time", "--monotonic", strconv.Itoa(seconds), "--"}, cmd.Args...)...)
}

// StopRunner ends the runner by SIGTERM, and says how it ended.
func (s *Stack) StopRunner() error { return s.runner.stop() }

// KillRunner kills the runner.
func (s *Stack) KillRunner() error { return s.runner.kill() }

// TakeOver starts a runner that takes the place of the one that serves, and waits until that one has ended.
func (s *Stack) TakeOver(ctx context.Context) error {
	old := s.runner
	if err := s.StartRunner(ctx, "--take-over"); err != nil {
		return err
	}
	select {
	case <-old.done:
		return old.err
	case <-ctx.Done():
		return fmt.Errorf("the runner before has not ended: %w", ctx.Err())
	}
}

// RestartGateway ends the gateway and starts it again, with the same configuration and no memory.
func (s *Stack) RestartGateway(ctx context.Context) error {
	if err := s.gateway.Close(); err != nil {
		return err
	}
	return s.startGateway(ctx)
}

// Socket returns the path of the runner's socket.
func (s *Stack) Socket() string { return s.socket() }

// RunnerPID returns the runner's process number.
func (s *Stack) RunnerPID() int { return s.runner.cmd.Process.Pid }

func (s *Stack) startGateway(ctx context.Context) error {
	config, err := s.gatewayConfig()
	if err != nil {
		return err
	}
	rules, err := globalRules()
	if err != nil {
		return err
	}
	s.gateway, err = gateway.New(gateway.Options{
		APISIX: append([]byte(rules), routes(s.options.Upstream)...), Config: config, Names: [2]string{"apisix.yaml", "config.yaml"},
		Dial: s.Lab.Gateway.DialContext, TLS: s.options.TLS, Log: zerolog.New(s.options.Log).Level(zerolog.WarnLevel),
	})
	if err != nil {
		return err
	}
	for _, address := range []string{lab.GatewayFrontIPv4, lab.GatewayFrontIPv6} {
		l, err := s.Lab.Gateway.Listen(ctx, "tcp", net.JoinHostPort(address, fmt.Sprint(Port)))
		if err != nil {
			return err
		}
		go s.gateway.Serve(l) //nolint:errcheck // it ends with Close
		if s.options.TLS == nil {
			continue
		}
		if l, err = s.Lab.Gateway.Listen(ctx, "tcp", net.JoinHostPort(address, fmt.Sprint(TLSPort))); err != nil {
			return err
		}
		go s.gateway.ServeTLS(l) //nolint:errcheck // it ends with Close
	}
	return nil
}

// Capture listens at the gateway's side of the client's link, where the kernel program sits.
func (s *Stack) Capture(o lab.CaptureOptions) (*lab.Capture, error) {
	return s.Lab.Gateway.Capture(lab.GatewayFrontInterface, o)
}

// Pins returns the folder of the agent's pins.
func (s *Stack) Pins() string { return filepath.Join(s.dir, "bpf") }

// Close ends everything and removes it, also after a start that was cut short.
func (s *Stack) Close() error {
	var errs []error
	if s.gateway != nil {
		errs = append(errs, s.gateway.Close())
	}
	errs = append(errs, s.ups.Close(), s.runner.stop(), s.agent.stop())
	if s.endRoad != nil {
		s.endRoad()
	}
	if s.road != nil {
		errs = append(errs, s.road.Wait())
	}
	if s.Lab != nil {
		errs = append(errs, s.Lab.Close())
	}
	if s.dir != "" {
		_ = syscall.Unmount(s.Pins(), syscall.MNT_DETACH) // after a killed agent
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

// process is a started program. The methods take a nil one, which has nothing to end.
type process struct {
	cmd  *exec.Cmd
	log  *tail
	done chan struct{} // closed when it has ended
	err  error         // how, after done
}

func startProcess(cmd *exec.Cmd, log io.Writer, start func(*exec.Cmd) error) (*process, error) {
	p := &process{cmd: cmd, log: &tail{w: log}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if file, ok := log.(*os.File); ok {
		cmd.Stdout, cmd.Stderr = file, file
	}
	if err := start(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(cmd.Path), err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// waitFor waits until the process is ready, or says what it wrote before it ended.
func (p *process) waitFor(ctx context.Context, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !ready() {
		select {
		case <-p.done:
			return fmt.Errorf("%v ended: %w: %s", p.cmd.Args[1:2], p.err, p.log.last())
		case <-ctx.Done():
			return fmt.Errorf("%v is not ready: %w: %s", p.cmd.Args[1:2], ctx.Err(), p.log.last())
		case <-look.C:
		}
	}
	return nil
}

func (p *process) stop() error { return p.end(syscall.SIGTERM) }

func (p *process) kill() error {
	_ = p.end(syscall.SIGKILL) // its exit status is the signal's
	return nil
}

// end signals the process and waits for its end, however it came.
func (p *process) end(signal os.Signal) error {
	if p == nil {
		return nil
	}
	select {
	case <-p.done:
		return nil // reported, or killed on purpose
	default:
	}
	_ = p.cmd.Process.Signal(signal) // it may have ended just now
	select {
	case <-p.done:
		return p.err
	case <-time.After(stopWait):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%v did not end in %v", p.cmd.Args[1:2], stopWait)
	}
}

// tail passes on what a process writes, and keeps the last line for messages. Only the process's own copying writes.
type tail struct {
	w    io.Writer
	line []byte
}

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	if lines := bytes.Split(bytes.TrimSpace(b), []byte("\n")); len(lines[len(lines)-1]) > 0 {
		t.line = bytes.Clone(lines[len(lines)-1])
	}
	return t.w.Write(b)
}

func (t *tail) last() string { return string(t.line) }
