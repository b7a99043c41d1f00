package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"

	"fivetuple/conf"
	"fivetuple/runner/server"
	"fivetuple/runner/switches"
)

const (
	addressEnv    = "APISIX_LISTEN_ADDRESS"
	addressPrefix = "unix:"
)

var (
	// errSocket means that there is no socket to serve on.
	errSocket = errors.New("no socket to serve on")
	// errTwoWays means that --take-over was given to a process that systemd handed a socket.
	errTwoWays = errors.New("--take-over has no place under socket activation: restart the unit, which loses no call either")
)

// role is what a process is to others.
type role struct {
	takesOver bool // it takes the place of one that serves
	stays     bool // none may take its place
}

// serve serves until the context ends, and for the time of draining after, or until another process takes over. The settings and
// the state of the process complete how.
func serve(ctx context.Context, o conf.Runner, r role, p place, how server.Options, log zerolog.Logger) error {
	passed, err := server.Activated()
	if err != nil {
		return err
	}
	path, err := socketPath(o, passed)
	if err != nil {
		return err
	}
	warnOfFolders(log, path)
	numbers, err := server.ReserveNumbers(server.NumbersFile(path), func(err error) { log.Warn().Err(err).Msg("token numbers") })
	if err != nil {
		return err
	}
	to, err := server.NewAccess(o.SocketMode, o.SocketGroup)
	if err != nil {
		return err
	}
	if how.PeerUIDs, err = server.PeerUIDs(o.PeerUIDs); err != nil {
		return err
	}
	off := switches.Follow(o.Switches, log.With().Str("part", "switches").Logger())
	defer off.Close()
	how.OnConfigError, how.Numbers, how.Off = o.OnConfigError, numbers.Take, off.Off
	how.Log = log.With().Str("part", "server").Logger()
	srv, err := server.New(how)
	if err != nil {
		return err
	}
	s := newServing(srv, to, o.Drain, p, log)
	if err := s.start(ctx, path, passed, r); err != nil {
		return err
	}
	warnIfOpen(path, o.PeerUIDs, log)
	log.Info().Str("socket", path).Msg("runner is ready")
	s.notify(daemon.SdNotifyReady)
	return s.untilEnd(ctx)
}

// warnIfOpen logs that every local user may act as a gateway.
func warnIfOpen(path string, peers []string, log zerolog.Logger) {
	info, err := os.Stat(path)
	if err == nil && info.Mode()&0o002 != 0 && len(peers) == 0 {
		log.Warn().Str("socket", path).Str("mode", fmt.Sprintf("%04o", info.Mode().Perm())).
			Msg("every local user may act as a gateway: set runner.socket_mode or, under systemd, SocketMode= to 0660, or list the gateway's user in runner.peer_uids")
	}
}

// socketPath returns the path that APISIX gave, or the one of the settings, or of the socket that systemd handed over; two
// different ones are refused.
func socketPath(o conf.Runner, passed *server.Passed) (string, error) {
	path, from := o.Socket, "runner.socket"
	if address := os.Getenv(addressEnv); address != "" {
		given, ok := strings.CutPrefix(address, addressPrefix)
		if !ok || given == "" {
			return "", fmt.Errorf("%w: %s=%q is not unix:PATH", errSocket, addressEnv, address)
		}
		if path != "" && path != given {
			return "", fmt.Errorf("%w: %s=%q and runner.socket: %q differ", errSocket, addressEnv, address, path)
		}
		path, from = given, addressEnv
	}
	if passed != nil && passed.Socket != nil {
		handed := passed.Socket.Path()
		if path != "" && path != handed {
			return "", fmt.Errorf("%w: %s says %q, and systemd handed over %q", errSocket, from, path, handed)
		}
		path = handed
	}
	if path == "" {
		return "", fmt.Errorf("%w: APISIX sets %s=unix:PATH; without it, name one by the setting runner.socket", errSocket, addressEnv)
	}
	return path, nil
}
