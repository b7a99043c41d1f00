package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/apache/apisix-go-plugin-runner/pkg/plugin"
	"github.com/apache/apisix-go-plugin-runner/pkg/runner"
	"github.com/rs/zerolog"
	"go.uber.org/zap/zapcore"
)

// Processes of the tests: the test binary again, told by a variable what to be.
const (
	childEnv     = "FIVETUPLE_TEST_CHILD"
	childLibrary = "library" // the library's server, which takes its socket from the environment, once a process
	childOurs    = "ours"
	childNumbers = "numbers" // prints numbers of a reservation
	listenEnv    = "APISIX_LISTEN_ADDRESS"
)

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case childLibrary:
		serveLibrary()
	case childOurs:
		serveOurs(os.Getenv(listenEnv)[len("unix:"):])
	case childNumbers:
		printNumbers(os.Args[1], os.Args[2])
	default:
		os.Exit(m.Run())
	}
}

// childPlugins are what both servers run in a process of their own.
func childPlugins() []plugin.Plugin { return append(testPlugins(), recordedPlugins()...) }

func serveLibrary() {
	for _, p := range childPlugins() {
		if err := plugin.RegisterPlugin(p); err != nil {
			panic(err)
		}
	}
	go endWithParent()
	runner.Run(runner.RunnerConfig{LogLevel: zapcore.FatalLevel, LogOutput: zapcore.AddSync(io.Discard)})
}

func serveOurs(path string) {
	numbers, err := ReserveNumbers(NumbersFile(path), func(error) {})
	if err != nil {
		panic(err)
	}
	s, err := New(Options{Plugins: childPlugins(), OnConfigError: ConfigErrorMark, Numbers: numbers.Take, Log: zerolog.Nop()})
	if err != nil {
		panic(err)
	}
	_ = os.Remove(path)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		panic(err)
	}
	go endWithParent()
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	go s.Serve(l)
	<-terminated
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.Close(ctx)
}

// endWithParent ends a child whose parent is gone: its input is closed then.
func endWithParent() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func printNumbers(path, count string) {
	n, err := strconv.Atoi(count)
	if err != nil {
		panic(err)
	}
	numbers, err := ReserveNumbers(path, func(err error) { panic(err) })
	if err != nil {
		panic(err)
	}
	out := bufio.NewWriter(os.Stdout)
	for range n {
		number, err := numbers.Take()
		if err != nil {
			panic(err)
		}
		_, _ = fmt.Fprintln(out, number)
	}
	if err := out.Flush(); err != nil {
		panic(err)
	}
}

// child is a process of the tests.
type child struct {
	cmd  *exec.Cmd
	mode string
	path string
}

// startChild runs a server in a process of its own, at a socket path.
func startChild(t testing.TB, mode, path string) *child {
	t.Helper()
	c := &child{exec.Command(os.Args[0]), mode, path}
	c.cmd.Env = append(os.Environ(), childEnv+"="+mode, listenEnv+"=unix:"+path)
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); c.kill() })
	return c
}

// kill ends a child as a crash does.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// libraryAndOurs starts both servers, each in a process of its own.
func libraryAndOurs(t testing.TB) map[string]string {
	t.Helper()
	dir := socketDir(t)
	paths := map[string]string{childLibrary: filepath.Join(dir, "library"), childOurs: filepath.Join(dir, "ours")}
	for mode, path := range paths {
		startChild(t, mode, path)
	}
	return paths
}
