package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// engine is a podman with a configuration, storage and networks of its own, serving Docker's API on a socket.
type engine struct {
	dir     string
	env     []string
	service *exec.Cmd
	client  *http.Client
}

const (
	startWait = 20 * time.Second
	apiWait   = 30 * time.Second
	// awaitEvery is the time between two questions of await. Those that execute a command in a container cost much of a CPU.
	awaitEvery = 200 * time.Millisecond
)

// newEngine configures podman below a folder. Debian's default profile of seccomp is older than CAP_BPF: the containers without a
// profile of their own get the same with the rules that Docker's has for it.
func newEngine(dir, shippedProfile string) (*engine, error) {
	e := &engine{dir: dir}
	files := map[string]string{
		"containers.conf": e.configuration(""),
		"storage.conf":    fmt.Sprintf("[storage]\ndriver = \"overlay\"\ngraphroot = %q\nrunroot = %q\n", e.path("graph"), e.path("run")),
		// What podman.yaml is about: podman looks for this name, quotes and all, where the service runs.
		"profile.json":  `"runner.json"`,
		`"runner.json"`: shippedProfile,
	}
	profile, err := dockersDefault()
	if err != nil {
		return nil, err
	}
	files["default-seccomp.json"] = profile
	for name, text := range files {
		if err := os.WriteFile(e.path(name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	e.env = append(os.Environ(),
		"CONTAINERS_CONF="+e.path("containers.conf"), "CONTAINERS_STORAGE_CONF="+e.path("storage.conf"),
		"DOCKER_HOST=unix://"+e.socket(), "HOME="+e.path("home"), "DOCKER_CONFIG="+e.path("home"), "TMPDIR="+e.path("tmp"),
		"SMOKE_PROFILE="+e.path("profile.json"))
	e.client = &http.Client{Timeout: apiWait, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", e.socket())
		},
	}}
	return e, nil
}

// configuration is containers.conf, with more lines for containers.
func (e *engine) configuration(more string) string {
	return fmt.Sprintf(`[containers]
default_ulimits = []
seccomp_profile = %q
%s
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
network_config_dir = %q
`, e.path("default-seccomp.json"), more, e.path("networks"))
}

func (e *engine) path(name string) string { return filepath.Join(e.dir, name) }
func (e *engine) socket() string          { return "/run/podman.sock" }

// dockersDefault returns Debian's default profile with bpf(2) and perf_event_open(2) as Docker has them: each for containers with
// the capability that the kernel asks for.
func dockersDefault() (string, error) {
	const file = "/usr/share/containers/seccomp.json"
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	var profile map[string]any
	if err := json.Unmarshal(text, &profile); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	rules, _ := profile["syscalls"].([]any)
	for _, rule := range rules {
		if r, ok := rule.(map[string]any); ok {
			names, _ := r["names"].([]any)
			r["names"] = slices.DeleteFunc(names, func(n any) bool { return n == "bpf" || n == "perf_event_open" })
		}
	}
	for call, capability := range map[string]string{"bpf": "CAP_BPF", "perf_event_open": "CAP_PERFMON"} {
		rules = append(rules, map[string]any{
			"names": []string{call}, "action": "SCMP_ACT_ALLOW", "args": []any{},
			"includes": map[string]any{"caps": []string{capability}}, "excludes": map[string]any{},
		})
	}
	profile["syscalls"] = rules
	out, err := json.Marshal(profile)
	return string(out), err
}

// start starts the service and waits until it answers.
func (e *engine) start(ctx context.Context) error {
	log, err := os.Create(e.path("service.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	e.service = exec.Command("podman", "system", "service", "--time", "0", "unix://"+e.socket())
	e.service.Dir, e.service.Env, e.service.Stdout, e.service.Stderr = e.dir, e.env, log, log
	if err := e.service.Start(); err != nil {
		return err
	}
	return await(ctx, startWait, "podman's service to answer", func() error { return e.get(ctx, "/version", nil) })
}

func (e *engine) stop() error {
	if e.service == nil || e.service.Process == nil {
		return nil
	}
	err := e.service.Process.Signal(syscall.SIGTERM)
	_ = e.service.Wait() // it ends by the signal
	return err
}

// remap starts the service again, so that containers which do not ask for the host's users get others, as by Docker's userns-remap.
func (e *engine) remap(ctx context.Context) error {
	if err := e.stop(); err != nil {
		return err
	}
	if err := os.WriteFile(e.path("containers.conf"), []byte(e.configuration(`userns = "auto"`)), 0o600); err != nil {
		return err
	}
	numbers := e.path("subordinate")
	if err := os.WriteFile(numbers, []byte("containers:2000000:1000000\n"), 0o600); err != nil {
		return err
	}
	for _, file := range []string{"/etc/subuid", "/etc/subgid"} {
		if err := unix.Mount(numbers, file, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("put numbers for containers in the place of %s: %w", file, err)
		}
	}
	return e.start(ctx)
}

// get asks the API, and decodes its answer if it is wanted.
func (e *engine) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://podman"+path, nil)
	if err != nil {
		return err
	}
	res, err := e.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode/100 != 2 {
		return fmt.Errorf("podman: GET %s: %s: %.300s: %w", path, res.Status, body, errors.Join(err, errRefused))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}

var errRefused = errors.New("not done")

// podman runs a command and returns what it prints.
func (e *engine) podman(ctx context.Context, args ...string) (string, error) {
	return e.command(ctx, e.dir, append([]string{"podman"}, args...)...)
}

func (e *engine) command(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, e.env
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s", strings.Join(append([]string{filepath.Base(args[0])}, args[1:]...), " "), err, bytes.TrimSpace(problems.Bytes()))
	}
	return out.String(), nil
}

// container is what the API tells of one.
type container struct {
	Name  string
	State struct {
		Running   bool
		Pid       int
		StartedAt string
	}
	Config struct {
		Healthcheck *struct{ Test []string }
	}
	Mounts []struct{ Name, Destination string }
}

func (e *engine) inspect(ctx context.Context, name string) (container, error) {
	var c container
	err := e.get(ctx, "/v1.41/containers/"+name+"/json", &c)
	return c, err
}

// check runs a container's health check once, and returns whether it failed. Podman leaves the times to systemd, which is not here.
func (e *engine) check(ctx context.Context, name string) error {
	var result struct{ Status string }
	if err := e.get(ctx, "/v4.0.0/libpod/containers/"+name+"/healthcheck", &result); err != nil {
		return err
	}
	if result.Status != "healthy" {
		return fmt.Errorf("%s: %w", name, errUnhealthy)
	}
	return nil
}

var errUnhealthy = errors.New("unhealthy")

// await asks again and again until there is no error, and returns the last one if that takes too long.
func await(ctx context.Context, patience time.Duration, what string, holds func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(awaitEvery)
	defer tick.Stop()
	for {
		err := holds()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: not within %v: %w", what, patience, err)
		case <-tick.C:
		}
	}
}
