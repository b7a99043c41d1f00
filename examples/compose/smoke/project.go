package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// project is one running project of Docker Compose.
type project struct {
	e       *engine
	compose string // Docker Compose
	dir     string // the folder of compose.yaml
	name    string
	flags   []string // of every command: --env-file, --profile
	apisix  string   // where the gateway's port is published
	metrics string   // where the runner's metrics are
	verbose func(string)
}

const (
	healthWait = 60 * time.Second
	healthRest = 300 * time.Millisecond // between two rounds of health checks
)

// do runs a command of Docker Compose, and returns what it prints.
func (s *project) do(ctx context.Context, args ...string) (string, error) {
	all := append([]string{s.compose, "--file", "compose.yaml", "--file", "podman.yaml"}, s.flags...)
	out, err := s.e.command(ctx, s.dir, append(all, args...)...)
	s.verbose(fmt.Sprintf("$ docker compose %s\n%s", strings.Join(args, " "), out))
	return out, err
}

// exec runs a command in a service's container.
func (s *project) exec(ctx context.Context, service string, args ...string) (string, error) {
	return s.do(ctx, append([]string{"exec", "--no-TTY", service}, args...)...)
}

// up starts the stack and waits until it is healthy. Meanwhile it runs the health checks.
func (s *project) up(ctx context.Context) error {
	checks, end := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for checks.Err() == nil {
			_ = s.check(checks) // what is not healthy yet is Compose's to tell
			select {
			case <-checks.Done():
			case <-time.After(healthRest):
			}
		}
	}()
	_, err := s.do(ctx, "up", "--detach", "--no-build", "--no-recreate", "--wait", "--wait-timeout", fmt.Sprint(int(healthWait.Seconds())))
	end()
	<-done
	return err
}

// down removes the stack; its volumes stay unless they are asked for.
func (s *project) down(ctx context.Context, flags ...string) error {
	_, err := s.do(ctx, append([]string{"down"}, flags...)...)
	return err
}

// containers returns the project's containers by their services.
func (s *project) containers(ctx context.Context) (map[string]container, error) {
	var list []struct {
		ID     string
		Labels map[string]string
	}
	filter := url.QueryEscape(fmt.Sprintf(`{"label":["com.docker.compose.project=%s"]}`, s.name))
	if err := s.e.get(ctx, "/v1.41/containers/json?all=true&filters="+filter, &list); err != nil {
		return nil, err
	}
	all := map[string]container{}
	for _, l := range list {
		c, err := s.e.inspect(ctx, l.ID)
		if err != nil {
			return nil, err
		}
		all[l.Labels["com.docker.compose.service"]] = c
	}
	return all, nil
}

var errNotRunning = errors.New("not running")

// check runs the health check of every container, and says which are not healthy.
func (s *project) check(ctx context.Context) error {
	all, err := s.containers(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for service, c := range all {
		switch {
		case !c.State.Running:
			errs = append(errs, fmt.Errorf("%s: %w", service, errNotRunning))
		case c.Config.Healthcheck == nil:
			errs = append(errs, fmt.Errorf("%s: %w: no health check", service, errUnhealthy))
		default:
			errs = append(errs, s.e.check(ctx, strings.TrimPrefix(c.Name, "/")))
		}
	}
	return errors.Join(errs...)
}

// healthy waits until all services are.
func (s *project) healthy(ctx context.Context) error {
	return await(ctx, healthWait, "health", func() error { return s.check(ctx) })
}

// pid returns the process of a service's container.
func (s *project) pid(ctx context.Context, service string) (int, error) {
	all, err := s.containers(ctx)
	if err != nil {
		return 0, err
	}
	c := all[service]
	if !c.State.Running {
		return 0, fmt.Errorf("%s: %w", service, errNotRunning)
	}
	return c.State.Pid, nil
}

// kill kills the processes of services, and waits until each was started again.
func (s *project) kill(ctx context.Context, services ...string) error {
	before := map[string]int{}
	for _, service := range services {
		pid, err := s.pid(ctx, service)
		if err != nil {
			return err
		}
		before[service] = pid
	}
	for _, pid := range before {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			return err
		}
	}
	return await(ctx, startWait, "the restart of what was killed", func() error {
		for service, old := range before {
			if pid, err := s.pid(ctx, service); err != nil || pid == old {
				return fmt.Errorf("%s: %w", service, errors.Join(err, errNotRunning))
			}
		}
		return nil
	})
}

// pins is where the volume with the tables of the first gateway is mounted on the host.
func (s *project) pins() string { return s.e.path("graph/volumes/" + s.name + "_pins/_data") }

// logs returns the last lines of every container, for a failure.
func (s *project) logs(ctx context.Context) string {
	out, err := s.do(ctx, "logs", "--no-color", "--tail", "6")
	if err != nil {
		return err.Error()
	}
	return out
}

// copyStack copies what the stack mounts, as a clone of the repository has it whose user has this umask.
func copyStack(ctx context.Context, repository, to, umask string) (string, error) {
	const script = `umask "$1"; mkdir -p "$3/examples/compose" && cp -r "$2/conf" "$3/" && cd "$2/examples/compose" && cp *.yaml *.json *.env .env smoke/podman.yaml "$3/examples/compose/"`
	out, err := exec.CommandContext(ctx, "bash", "-c", script, "bash", umask, repository, to).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("copy the stack: %w: %s", err, out)
	}
	return filepath.Join(to, "examples/compose"), nil
}

// replace edits a file as editors do: a new file takes its name.
func replace(path string, edit func(string) string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", []byte(edit(string(text))), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// services are those of a stack without profiles, in the order in which the table has them.
func services() []string { return []string{"agent", "runner", "apisix", "redis", "upstream"} }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
