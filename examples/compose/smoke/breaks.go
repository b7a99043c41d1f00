package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// healWait is how long it may take until calls are enriched again.
const healWait = 60 * time.Second

// breaking is something that is done to the running stack.
type breaking struct {
	name string
	do   func(ctx context.Context, s *project) error
	// unnoticed: no call may be without figures meanwhile.
	unnoticed bool
	// fresh: the BPF file system is a new one afterwards, and the kernel has nothing of the old one.
	fresh bool
}

// breakings are done one after the other. After each the stack must be as it was before.
func breakings() []breaking {
	var all []breaking
	for _, service := range services() {
		all = append(all, breaking{name: "restart " + service, unnoticed: unnoticed(service), do: func(ctx context.Context, s *project) error {
			_, err := s.do(ctx, "restart", service)
			return err
		}})
	}
	all = append(all, breaking{name: "restart all", do: func(ctx context.Context, s *project) error {
		_, err := s.do(ctx, "restart")
		return err
	}})
	for _, service := range services() {
		all = append(all, breaking{name: "kill -9 " + service, unnoticed: unnoticed(service), do: func(ctx context.Context, s *project) error {
			return s.kill(ctx, service)
		}})
	}
	return append(all,
		breaking{name: "kill -9 all, up", do: killAll},
		breaking{name: "a new network namespace for apisix", do: renewNamespace},
		breaking{name: "a fresh bpffs", fresh: true, do: renewPins},
		breaking{name: "down, up", fresh: true, do: func(ctx context.Context, s *project) error {
			return errors.Join(s.down(ctx), s.up(ctx))
		}},
	)
}

// unnoticed reports whether calls are enriched while a service is away: the agent's program stays attached, and nothing waits for Redis.
func unnoticed(service string) bool { return service == "agent" || service == "redis" }

// killAll kills everything at once. The agent's container cannot be started while APISIX's has no namespace, and neither podman nor Docker
// tries a second time: that takes a command.
func killAll(ctx context.Context, s *project) error {
	var others []string
	for _, service := range services() {
		if service != "agent" {
			others = append(others, service)
		}
	}
	pid, err := s.pid(ctx, "agent")
	if err == nil {
		err = unix.Kill(pid, unix.SIGKILL)
	}
	return errors.Join(err, s.kill(ctx, others...), s.up(ctx))
}

// renewNamespace restarts APISIX's container as Docker does it by itself: Compose, which would restart the agent with it, is not there.
func renewNamespace(ctx context.Context, s *project) error {
	pid, err := s.pid(ctx, "apisix")
	if err != nil {
		return err
	}
	before, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return err
	}
	if _, err := s.e.podman(ctx, "restart", s.name+"-apisix-1"); err != nil {
		return err
	}
	if pid, err = s.pid(ctx, "apisix"); err != nil {
		return err
	}
	if after, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid)); err != nil || after == before {
		return fmt.Errorf("apisix has the namespace %s as before: %w", after, errors.Join(err, errDiffers))
	}
	return nil
}

// renewPins stops all who have the BPF file system mounted: podman, as Docker, then unmounts it.
func renewPins(ctx context.Context, s *project) error {
	if _, err := s.do(ctx, "stop", "agent", "runner"); err != nil {
		return err
	}
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	if strings.Contains(string(text), s.pins()+" ") {
		return fmt.Errorf("%s is mounted while no container has it: %w", s.pins(), errDiffers)
	}
	_, err = s.do(ctx, "start", "runner", "agent")
	return err
}

// row is a line of the table.
type row struct {
	name    string
	seen    seen
	healthy time.Duration
	left    []string
	err     error
}

// tableHead and print are the table of what was done to the stack.
func tableHead() string {
	return fmt.Sprintf("%-36s %10s %6s %6s %6s %9s  %s", "what", "enriched", "calls", "failed", "bare", "healthy", "left behind")
}

func (r *row) print(out io.Writer) {
	left := "nothing"
	if len(r.left) > 0 {
		left = strings.Join(r.left, ", ")
	}
	if r.err != nil {
		left += "; FAILED"
	}
	fmt.Fprintf(out, "%-36s %7d ms %6d %6d %6d %6.1f s  %s\n", r.name, r.seen.healed.Milliseconds(), r.seen.calls, r.seen.failed, r.seen.bare,
		r.healthy.Seconds(), left)
}

// suffer does something to the stack, and waits until all is as before.
func (s *project) suffer(ctx context.Context, p *prober, b breaking) (r row) {
	r.name = b.name
	before, err := s.e.census(ctx)
	if err != nil {
		return row{name: b.name, err: err}
	}
	var held []object
	if b.fresh {
		if held, r.err = kernelObjects(s.pins()); r.err != nil {
			return r
		}
	}
	start := time.Now()
	if r.err = b.do(ctx, s); r.err != nil {
		return r
	}
	r.err = await(ctx, healWait, "calls that are enriched again", func() error {
		if r.seen = p.since(start); !r.seen.steady {
			return fmt.Errorf("%d failed, %d bare, last: %w", r.seen.failed, r.seen.bare, r.seen.last)
		}
		return nil
	})
	if r.err == nil && b.unnoticed && r.seen.bare > 0 {
		r.err = fmt.Errorf("%w: %d calls: %w", errBare, r.seen.bare, r.seen.last)
	}
	if r.err == nil {
		r.err = s.healthy(ctx)
		r.healthy = time.Since(start)
	}
	left, err := s.e.leftBehind(ctx, before)
	r.left = append(left, gone(ctx, held)...)
	r.err = errors.Join(r.err, err)
	if r.err == nil && len(r.left) > 0 {
		r.err = fmt.Errorf("%w as it was before", errDiffers)
	}
	return r
}

// breakAll does all of it, some rounds, and prints the table.
func (s *project) breakAll(ctx context.Context, rounds int, out io.Writer) error {
	p := startProber(ctx, s.apisix)
	defer p.stop()
	fmt.Fprintln(out, tableHead())
	for range rounds {
		for _, b := range breakings() {
			r := s.suffer(ctx, p, b)
			r.print(out)
			if r.err != nil {
				return fmt.Errorf("%s: %w\n%s", r.name, r.err, s.logs(ctx))
			}
		}
	}
	return nil
}
