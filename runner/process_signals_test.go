package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// piped starts a process whose standard output and error a pipe takes, and returns the pipe's end to read.
func (b *bench) piped(start func(*exec.Cmd) error, cmd *exec.Cmd) (p *program, reader *os.File) {
	b.t.Helper()
	reader, writer, err := os.Pipe()
	must(b.t, err)
	b.t.Cleanup(func() { _ = reader.Close() })
	p = b.runIn(func(cmd *exec.Cmd) error {
		cmd.Stdout, cmd.Stderr = writer, writer
		return start(cmd)
	}, cmd)
	must(b.t, writer.Close())
	return p, reader
}

// head is Debian's: it prints a line of what it reads, and ends.
func head(t *testing.T, in *os.File) string {
	t.Helper()
	cmd := exec.Command("head", "-n", "1")
	cmd.Stdin = in
	line, err := cmd.Output()
	must(t, err)
	must(t, in.Close())
	return string(line)
}

func (p *program) signal(s syscall.Signal) {
	p.t.Helper()
	must(p.t, p.cmd.Process.Signal(s))
}

// awaitSocket waits until a runner answers on a socket.
func awaitSocket(t *testing.T, path string) {
	t.Helper()
	await(t, "socket", func() bool {
		_, err := os.Stat(path)
		return err == nil
	})
}

// malform sends so many malformed frames, each of which ends its connection and is a line of the runner's log.
func malform(t *testing.T, path string, frames int) {
	t.Helper()
	for range frames {
		conn := dialSocket(t, path)
		_, err := conn.Write([]byte{9, 0, 0, 0})
		must(t, err)
		_, err = conn.Read(make([]byte, 64))
		must(t, err)
		must(t, conn.Close())
	}
}

// fillLog has the runner write an even number of lines: each wrong configuration, which is of no route, has two.
func fillLog(t *testing.T, path string, lines int) {
	t.Helper()
	conn := dialSocket(t, path)
	for i := range lines / 2 {
		prepareWrong(t, conn, fmt.Sprint("of no route", lines, i))
	}
	must(t, conn.Close())
}

// TestRunnerOutlivesTheReaderOfItsLog: `fivetuple run 2>&1 | head -n 1`. Without a reader, log lines are lost and nothing else.
func TestRunnerOutlivesTheReaderOfItsLog(t *testing.T) {
	b := newBench(t, 0)
	p, log := b.piped((*exec.Cmd).Start, b.command())
	if line := head(t, log); !strings.HasPrefix(line, `{"level":`) {
		t.Errorf("first line %q", line)
	}
	awaitSocket(t, b.path)
	l := b.load(4)
	malform(t, b.path, 20)
	p.signal(syscall.SIGHUP)
	l.more(200)
	l.wantNoneFailed()
	p.terminate()
	must(t, p.ends())
}

// TestRunnerOutlivesAReaderThatStops: a reader that is there and does not read, like a stopped container engine, keeps nobody waiting
// either, also not the runner's end.
func TestRunnerOutlivesAReaderThatStops(t *testing.T) {
	b := newBench(t, 0)
	p, _ := b.piped((*exec.Cmd).Start, b.command())
	awaitSocket(t, b.path)
	const pipe, line = 64 << 10, 100 // bytes
	l := b.load(4)
	fillLog(t, b.path, 2*pipe/line)
	l.more(200)
	l.wantNoneFailed()
	p.terminate()
	must(t, p.ends())
}

// TestLostLinesAreCounted: when the reader reads again, the log says how many lines it lacks.
func TestLostLinesAreCounted(t *testing.T) {
	b := newBench(t, 0)
	p, log := b.piped((*exec.Cmd).Start, b.command())
	awaitSocket(t, b.path)
	const lines = 4000
	fillLog(t, b.path, lines)
	tail := exec.Command("grep", "-E", "wrong plugin configuration|configuration without a route|log lines were lost")
	var text bytes.Buffer
	tail.Stdin, tail.Stdout = log, &text
	must(t, tail.Start())
	must(t, log.Close())
	fillLog(t, b.path, 2)
	p.terminate()
	must(t, p.ends())
	must(t, tail.Wait())
	written, lost := 0, 0
	for line := range strings.Lines(text.String()) {
		var fields struct {
			Message string
			Lines   int
		}
		must(t, json.Unmarshal([]byte(line), &fields))
		lost += fields.Lines
		if fields.Lines == 0 {
			written++
		}
	}
	if t.Logf("%d lines written, %d lost", written, lost); written == 0 || lost == 0 || written+lost != lines+2 {
		t.Errorf("%d lines written and %d lost make not %d", written, lost, lines+2)
	}
}

// TestRunnerIgnoresSignals that others send out of habit: logrotate after a rotation, `docker kill --signal HUP`, `pkill -USR1`.
func TestRunnerIgnoresSignals(t *testing.T) {
	b := newBench(t, 0)
	p := b.start().ready()
	l := b.load(4)
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2} {
		p.signal(s)
		l.more(50)
	}
	await(t, "lines about signals", func() bool { return p.count("signal is ignored: ") == 3 })
	l.wantNoneFailed()
	p.terminate()
	must(t, p.ends())
}

// TestRunnerOutlivesItsTerminal: when the terminal closes, the kernel sends SIGHUP, and what is written to it fails.
func TestRunnerOutlivesItsTerminal(t *testing.T) {
	b := newBench(t, 0)
	pidFile := filepath.Join(b.dir, "pid")
	own := b.command()
	cmd := exec.Command("script", "--quiet", "--command", //nolint:gosec // our own paths
		fmt.Sprintf("echo $$ >%s; exec %s", pidFile, strings.Join(own.Args, " ")), "/dev/null")
	cmd.Env = own.Env
	terminal := b.run(cmd)
	awaitSocket(t, b.path)
	text, err := os.ReadFile(pidFile)
	must(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	must(t, err)
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	terminal.signal(syscall.SIGKILL)
	<-terminal.done
	l := b.load(4)
	malform(t, b.path, 20)
	l.more(200)
	l.wantNoneFailed()
	must(t, syscall.Kill(pid, syscall.SIGTERM))
	await(t, "end of the process", func() bool { return syscall.Kill(pid, 0) != nil })
	if _, err := os.Stat(b.path); !os.IsNotExist(err) {
		t.Errorf("its socket is left: %v", err)
	}
}

// TestAgentOutlivesTheReaderOfItsLog: the same of the agent, and of both in one process.
func TestAgentOutlivesTheReaderOfItsLog(t *testing.T) {
	for name, args := range map[string][]string{"agent": {"agent"}, "both": {"run", "--agent"}} {
		t.Run(name, func(t *testing.T) {
			l := newLimited(t, []string{"BPF", "NET_ADMIN", "PERFMON"})
			p, log := l.piped(l.lab.Gateway.Start, l.command(args...))
			head(t, log)
			for i := range 3 { // each of these has a line
				p.signal(syscall.SIGHUP)
				must(t, l.lab.Gateway.Do(func() error {
					return exec.Command("ip", "link", "add", fmt.Sprint("extra", i), "type", "veth", "peer", "name", fmt.Sprint("peer", i)).Run()
				}))
				time.Sleep(1200 * time.Millisecond) // the agent looks once a second
			}
			select {
			case <-p.done:
				t.Fatalf("it ended: %v", p.err)
			default:
			}
			p.terminate()
			must(t, p.ends())
		})
	}
}

// TestPrintingIntoHead: commands that print and end do so quietly when nobody reads any more, as usual tools do.
func TestPrintingIntoHead(t *testing.T) {
	b := newBench(t, 0)
	line := `{"time":"2026-12-01T00:00:00.000000Z","match":"exchange","apisix.route_id":"a"}` + "\n"
	must(t, os.WriteFile(filepath.Join(b.dir, "calls.jsonl"), []byte(strings.Repeat(line, 20_000)), 0o600))
	for _, args := range []string{"calls", "calls --json", "calls --follow"} {
		own := b.command()
		cmd := exec.Command("bash", "-c", `"$0" `+args+` "$@" | head -n 1; echo "${PIPESTATUS[0]}"`, own.Args[0], own.Args[2], own.Args[3])
		cmd.Env = own.Env
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		must(t, err)
		if lines := strings.Split(string(out), "\n"); len(lines) != 3 || lines[1] != "141" || said.Len() > 0 { // 128 + SIGPIPE
			t.Errorf("%s: %q, and on standard error %q", args, out, said.String())
		}
	}
}
