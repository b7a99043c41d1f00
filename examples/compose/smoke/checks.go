package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

const binary = "/usr/local/bin/fivetuple"

var errMissing = errors.New("the output has it not")

// has returns an error if a text has not all of some words.
func has(what, text string, words ...string) error {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return fmt.Errorf("%s: %w: %q in %.600q", what, errMissing, word, text)
		}
	}
	return nil
}

// checkCommands runs what the README names in the runner's and the agent's containers.
func checkCommands(ctx context.Context, s *project) error {
	for _, c := range []struct {
		service string
		args    []string
		want    []string
	}{
		{"runner", []string{"calls"}, []string{"MATCH", "insight", "exchange"}},
		{"runner", []string{"report"}, []string{"insight", "gateway-1"}},
		{"runner", []string{"events"}, nil},
		{"runner", []string{"version"}, []string{"fivetuple "}},
		{"runner", []string{"route", "plain", "off"}, []string{"route plain is off", "in force"}},
		{"runner", []string{"route", "list"}, []string{"plain"}},
		{"runner", []string{"route", "plain", "on"}, []string{"route plain is on"}},
		{"agent", []string{"sources", "flag", "192.0.2.1", "--for", "1m"}, nil},
		{"agent", []string{"sources"}, []string{"192.0.2.1"}},
		{"agent", []string{"sources", "unflag", "192.0.2.1"}, nil},
	} {
		out, err := s.exec(ctx, c.service, append([]string{binary}, c.args...)...)
		if err := errors.Join(err, has(strings.Join(c.args, " "), out, c.want...)); err != nil {
			return err
		}
	}
	return nil
}

// checkWarnings looks for what the profile of seccomp, a file's owner or a missing folder would make the runner and the agent say.
func checkWarnings(ctx context.Context, s *project) error {
	out, err := s.do(ctx, "logs", "--no-color", "--no-log-prefix", "runner", "agent")
	if err != nil {
		return err
	}
	for line := range strings.Lines(out) {
		if strings.Contains(line, "not permitted") || strings.Contains(line, "denied") || strings.Contains(line, "read-only file system") {
			return fmt.Errorf("%w: a line of the log: %s", errDiffers, line)
		}
	}
	return nil
}

// checkMetrics reads the published metrics, of which Redis is a part.
func checkMetrics(ctx context.Context, s *project) error {
	return await(ctx, startWait, "metrics of a runner that has reached Redis", func() error {
		text, err := httpGet(ctx, "http://"+s.metrics+"/metrics")
		return errors.Join(err, has("metrics", text, "\nfivetuple_redis_up 1\n", `match="exchange"`))
	})
}

func httpGet(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(res.Body)
	return string(text), errors.Join(err, res.Body.Close())
}

const (
	// drops are connections that bring their requests a few bytes at a time, until dripFor has passed.
	drops     = 12
	dripFor   = 10 * time.Second
	flagFor   = "30s"
	bridgeEnd = ".1"
)

// checkClientsAddress attacks through the published port, where all clients have the bridge's address, and from a container: the watcher
// flags the container only. packet-guard never refuses calls from the bridge's address, also if a person has flagged it.
func checkClientsAddress(ctx context.Context, s *project) error {
	inside, address, err := s.namespace(ctx, "upstream")
	if err != nil {
		return err
	}
	defer inside.Close()
	bridge := address.String()[:strings.LastIndex(address.String(), ".")] + bridgeEnd
	gateway, at, err := s.namespace(ctx, "apisix")
	if err != nil {
		return err
	}
	target := net.JoinHostPort(at.String(), gatewayPort)
	if err := gateway.Close(); err != nil {
		return err
	}
	attack, end := context.WithTimeout(ctx, dripFor)
	defer end()
	ended := make(chan struct{}, 2)
	for _, dial := range []func(context.Context) (net.Conn, error){
		func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "tcp", s.apisix) },
		func(ctx context.Context) (net.Conn, error) { return inside.DialContext(ctx, "tcp", target) },
	} {
		go func() {
			drip(attack, dial)
			ended <- struct{}{}
		}()
	}
	<-ended
	<-ended
	flagged, err := s.flagged(ctx)
	if err != nil {
		return err
	}
	if !strings.Contains(flagged[address.String()], "slow-headers") || flagged[bridge] != "" {
		return fmt.Errorf("%w: flagged are %v, want %s and not %s", errDiffers, flagged, address, bridge)
	}
	if _, err := s.exec(ctx, "agent", binary, "sources", "flag", bridge, "--for", flagFor); err != nil {
		return err
	}
	return errors.Join(s.guards(ctx, nil, s.apisix, "pass;exempt"), s.guards(ctx, inside, target, `signals="slow-headers"`))
}

// drip opens connections and sends requests slowly, until the context ends.
func drip(ctx context.Context, dial func(context.Context) (net.Conn, error)) {
	var open []net.Conn
	for range drops {
		if conn, err := dial(ctx); err == nil {
			open = append(open, conn)
		}
	}
	request := stack.Get("/insight/drip", 4000)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for piece := 0; ctx.Err() == nil; piece++ {
		for _, conn := range open {
			_, _ = conn.Write(request[piece*11 : (piece+1)*11])
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	for _, conn := range open {
		_ = conn.Close()
	}
}

// flagged returns the signals of the addresses with a verdict.
func (s *project) flagged(ctx context.Context) (map[string]string, error) {
	out, err := s.exec(ctx, "agent", binary, "sources", "list", "--json")
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	in := json.NewDecoder(strings.NewReader(out))
	for in.More() {
		var l struct{ Address, Signals string }
		if err := in.Decode(&l); err != nil {
			return nil, err
		}
		all[l.Address] = l.Signals
	}
	return all, nil
}

// guards waits until packet-guard says something of a call, from the host or from within a namespace.
func (s *project) guards(ctx context.Context, from *lab.Foreign, target, want string) error {
	dial := (&net.Dialer{}).DialContext
	if from != nil {
		dial = from.DialContext
	}
	return await(ctx, startWait, "packet-guard's "+want, func() error {
		conn, err := dial(ctx, "tcp", target)
		if err != nil {
			return err
		}
		defer conn.Close()
		a, err := newClient(conn).call(stack.Get("/guard/", 0))
		return errors.Join(err, has("x-packet-guard", a.upstream.Get("X-Packet-Guard"), want))
	})
}

// checkEdit edits mounted files as editors do, by a new file of the old one's name: a container sees it when it is restarted.
func checkEdit(ctx context.Context, s *project) error {
	routes := filepath.Join(s.dir, "apisix.yaml")
	if err := replace(routes, func(text string) string { return strings.Replace(text, "/insight/*", "/edited/*", 1) }); err != nil {
		return err
	}
	if _, err := callOnce(ctx, s.apisix, "/insight/"); err != nil {
		return fmt.Errorf("the file was edited, and nothing was restarted: %w", err)
	}
	if _, err := s.do(ctx, "restart", "apisix"); err != nil {
		return err
	}
	err := await(ctx, healWait, "the edited route", func() error {
		_, err := callOnce(ctx, s.apisix, "/edited/")
		return err
	})
	if err != nil {
		return err
	}
	if err := replace(routes, func(text string) string { return strings.Replace(text, "/edited/*", "/insight/*", 1) }); err != nil {
		return err
	}
	_, err = s.do(ctx, "restart", "apisix")
	return errors.Join(err, s.healthy(ctx))
}

// checkFleet starts the second gateway: each has its own tables and its own port, and Redis knows both.
func checkFleet(ctx context.Context, s *project) error {
	fleet := *s
	fleet.flags = append([]string{"--profile", "fleet"}, s.flags...)
	if err := fleet.up(ctx); err != nil {
		return err
	}
	second := strings.Replace(s.apisix, ":9080", ":9081", 1)
	err := await(ctx, startWait, "an enriched call of the second gateway", func() error {
		_, err := callOnce(ctx, second, "/insight/")
		return err
	})
	if err != nil {
		return err
	}
	err = await(ctx, startWait, "both gateways in the report", func() error {
		out, err := fleet.exec(ctx, "runner", binary, "report")
		return errors.Join(err, has("report", out, "gateway-1", "gateway-2"))
	})
	if err != nil {
		return err
	}
	for _, service := range []string{"agent-2", "apisix-2", "runner-2"} { // podman removes no container whose namespace another one has
		if _, err := fleet.do(ctx, "rm", "--stop", "--force", "--volumes", service); err != nil {
			return err
		}
	}
	return nil
}

// checkSecond starts a second stack beside the first, and removes it.
func checkSecond(ctx context.Context, s *project) error {
	second := *s
	second.name, second.apisix, second.metrics = "fivetuple-second", "127.0.0.1:9180", "127.0.0.1:9576"
	second.flags = []string{"--env-file", "second.env"}
	err := second.up(ctx)
	if err == nil {
		err = checkBoth(ctx, s, &second)
	}
	return errors.Join(err, second.down(ctx, "--volumes"))
}

func checkBoth(ctx context.Context, stacks ...*project) error {
	var errs []error
	for _, s := range stacks {
		errs = append(errs, await(ctx, startWait, "an enriched call of "+s.name, func() error {
			_, err := callOnce(ctx, s.apisix, "/insight/")
			return err
		}), checkMetrics(ctx, s))
	}
	return errors.Join(errs...)
}

// checkUmask starts the stack from a clone of a user whose umask is 077: no container can read what it mounts. The runner says so and what
// to do about it, and doing it helps.
func checkUmask(ctx context.Context, s *project, repository string) error {
	dir, err := copyStack(ctx, repository, s.e.path("clone-077"), "077")
	if err != nil {
		return err
	}
	private := *s
	private.dir = dir
	defer func() { _ = private.down(ctx, "--volumes") }()
	if _, err := private.do(ctx, "up", "--detach", "--no-build", "runner"); err != nil {
		return err
	}
	err = await(ctx, startWait, "the runner's complaint", func() error {
		out, err := private.do(ctx, "logs", "--no-color", "runner")
		return errors.Join(err, has("log of the runner", out, "/etc/fivetuple.yaml", "permission denied", "chmod"))
	})
	if err != nil {
		return err
	}
	if out, err := s.e.command(ctx, dir, "chmod", "-R", "a+rX", ".", "../../conf"); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	if err := os.Chmod(s.e.path("clone-077"), 0o755); err != nil {
		return err
	}
	return errors.Join(private.down(ctx, "--volumes"), private.up(ctx))
}

// checkMissing starts the stack without a file that it mounts. Docker refuses that, as compose.yaml asks it to; podman makes a folder of the
// file's name, and the runner says what that is about.
func checkMissing(ctx context.Context, s *project, repository string) error {
	dir, err := copyStack(ctx, repository, s.e.path("clone-missing"), "022")
	if err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, "fivetuple.yaml")); err != nil {
		return err
	}
	broken := *s
	broken.dir = dir
	defer func() { _ = broken.down(ctx, "--volumes") }()
	if _, err = broken.do(ctx, "up", "--detach", "--no-build", "runner"); err != nil {
		return has("Docker Compose's error", err.Error(), "fivetuple.yaml")
	}
	return await(ctx, startWait, "the runner's complaint", func() error {
		out, err := broken.do(ctx, "logs", "--no-color", "runner")
		return errors.Join(err, has("log of the runner", out, "/etc/fivetuple.yaml", "is a directory", "remove the folder"))
	})
}

// checkRemap starts the stack where containers have other users than the host unless they ask for the host's: what shares files by the numbers
// of users and groups asks.
func checkRemap(ctx context.Context, s *project) error {
	if err := s.e.remap(ctx); err != nil {
		return err
	}
	err := s.up(ctx)
	if err == nil {
		err = await(ctx, startWait, "an enriched call", func() error {
			_, err := callOnce(ctx, s.apisix, "/insight/")
			return err
		})
	}
	pid, pidErr := s.pid(ctx, "upstream")
	if err = errors.Join(err, pidErr); err == nil {
		var text []byte
		text, err = os.ReadFile(fmt.Sprintf("/proc/%d/uid_map", pid))
		if fields := strings.Fields(string(text)); err == nil && fields[1] == "0" {
			err = fmt.Errorf("%w: the upstream has the host's users", errDiffers)
		}
	}
	_ = s.down(ctx, "--volumes") // podman may fail to unmount what a user namespace has mounted; it is all gone with this one
	return err
}
