package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	librarylog "github.com/apache/apisix-go-plugin-runner/pkg/log"
	"github.com/apache/apisix-go-plugin-runner/pkg/plugin"
	"github.com/apache/apisix-go-plugin-runner/pkg/runner"
	"github.com/rs/zerolog"
	"go.uber.org/zap/zapcore"

	"fivetuple/conf"
)

// This file is all that knows of the library's server, which serves for now. The library takes its socket from the
// environment, and ends on the signals that end the context: it installs its own handler and returns.

const (
	addressEnv    = "APISIX_LISTEN_ADDRESS"
	addressPrefix = "unix:"

	// libraryEnd is how long the library may take to remove its socket.
	libraryEnd = time.Second
)

// errSocket means that there is no socket to serve on.
var errSocket = errors.New("no socket to serve on")

// serve registers the plugins and serves them until SIGINT or SIGTERM.
func serve(ctx context.Context, o conf.Runner, all []plugin.Plugin, log zerolog.Logger) error {
	address, err := listenAddress(o)
	if err != nil {
		return err
	}
	librarylog.NewLogger(zapcore.WarnLevel, libraryLog{log})
	for _, p := range all {
		if err := plugin.RegisterPlugin(p); err != nil {
			return fmt.Errorf("register plugin %s: %w", p.Name(), err)
		}
	}
	if err := os.Setenv(addressEnv, address); err != nil {
		return fmt.Errorf("set %s: %w", addressEnv, err)
	}
	log.Info().Str("address", address).Msg("runner is ready")
	done := make(chan struct{})
	go func() {
		defer close(done)
		runner.Run(runner.RunnerConfig{LogLevel: zapcore.WarnLevel, LogOutput: libraryLog{log}})
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	// The same signal has ended the library, unless it came before the library listened for it, or the agent of
	// `run --agent` ended the context.
	select {
	case <-done:
		return nil
	case <-time.After(libraryEnd):
		return os.Remove(strings.TrimPrefix(address, addressPrefix))
	}
}

// listenAddress returns the address that APISIX gave, or the one of the settings; two different ones are refused.
func listenAddress(o conf.Runner) (string, error) {
	address := os.Getenv(addressEnv)
	if address == "" && o.Socket == "" {
		return "", fmt.Errorf("%w: APISIX sets %s=unix:PATH; without it, name one by the setting runner.socket", errSocket, addressEnv)
	}
	if address == "" {
		return addressPrefix + o.Socket, nil
	}
	path, ok := strings.CutPrefix(address, addressPrefix)
	if !ok || path == "" {
		return "", fmt.Errorf("%w: %s=%q is not unix:PATH", errSocket, addressEnv, address)
	}
	if o.Socket != "" && o.Socket != path {
		return "", fmt.Errorf("%w: %s=%q and runner.socket: %q differ", errSocket, addressEnv, address, o.Socket)
	}
	return address, nil
}

// libraryLog puts the library's lines, which are JSON of its own, into ours.
type libraryLog struct {
	log zerolog.Logger
}

// Write implements io.Writer.
func (l libraryLog) Write(line []byte) (int, error) {
	l.log.Info().Str("part", "library").Msg(strings.TrimSpace(string(line)))
	return len(line), nil
}

// Sync implements zapcore.WriteSyncer.
func (libraryLog) Sync() error { return nil }
