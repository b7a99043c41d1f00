// Command standin runs the stand-in for Apache APISIX from the two configuration files that APISIX takes.
// It is not APISIX; see the package fivetuple/examples/gateway for what it plays.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/rs/zerolog"

	"fivetuple/examples/gateway"
)

type flags struct {
	apisix, config    string
	listen, listenTLS string
	cert, key         string
	workers           int
	accessLog         bool
}

func main() {
	log := zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr}).With().Timestamp().Logger()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, readFlags(), log)
	stop()
	if err != nil {
		log.Error().Err(err).Msg("standin")
		os.Exit(1)
	}
}

func readFlags() flags {
	var f flags
	flag.StringVar(&f.apisix, "apisix", "apisix.yaml", "file with the routes")
	flag.StringVar(&f.config, "config", "config.yaml", "APISIX's configuration: socket path and snippets")
	flag.StringVar(&f.listen, "listen", "127.0.0.1:9080", "address for HTTP/1.1 and h2c; empty: none")
	flag.StringVar(&f.listenTLS, "listen-tls", "", "address for TLS; empty: none")
	flag.StringVar(&f.cert, "cert", "", "file with the certificate, PEM")
	flag.StringVar(&f.key, "key", "", "file with its key, PEM")
	flag.IntVar(&f.workers, "workers", 1, "nginx workers to imitate")
	flag.BoolVar(&f.accessLog, "access-log", true, "write a line per call to standard output")
	flag.Parse()
	return f
}

// run serves until the context ends or a listener fails.
func run(ctx context.Context, f flags, log zerolog.Logger) error {
	options, err := readOptions(f, log)
	if err != nil {
		return err
	}
	g, err := gateway.New(options)
	if err != nil {
		return err
	}
	plain, secure, err := listeners(f)
	if err != nil {
		return errors.Join(err, g.Close())
	}
	failed := make(chan error, 2)
	if plain != nil {
		log.Info().Stringer("address", plain.Addr()).Msg("stand-in for APISIX listens")
		go func() { failed <- g.Serve(plain) }()
	}
	if secure != nil {
		log.Info().Stringer("address", secure.Addr()).Msg("stand-in for APISIX listens, TLS")
		go func() { failed <- g.ServeTLS(secure) }()
	}
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	return errors.Join(err, g.Close())
}

func readOptions(f flags, log zerolog.Logger) (gateway.Options, error) {
	o := gateway.Options{Names: [2]string{f.apisix, f.config}, Workers: f.workers, Log: log}
	var err error
	if o.APISIX, err = os.ReadFile(f.apisix); err != nil {
		return o, fmt.Errorf("read routes: %w", err)
	}
	if o.Config, err = os.ReadFile(f.config); err != nil {
		return o, fmt.Errorf("read configuration: %w", err)
	}
	if f.listenTLS != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return o, fmt.Errorf("read certificate: %w", err)
		}
		o.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	if f.accessLog {
		access := zerolog.New(os.Stdout)
		o.AccessLog = func(a gateway.Access) { logAccess(access, a) }
	}
	return o, nil
}

// listeners opens what is asked for; on an error nothing is left open.
func listeners(f flags) (plain, secure net.Listener, err error) {
	if f.listen != "" {
		if plain, err = net.Listen("tcp", f.listen); err != nil {
			return nil, nil, err
		}
	}
	if f.listenTLS != "" {
		if secure, err = net.Listen("tcp", f.listenTLS); err != nil {
			if plain != nil {
				_ = plain.Close()
			}
			return nil, nil, err
		}
	}
	return plain, secure, nil
}

// logAccess writes one line, with the packet headers that a plugin set.
func logAccess(log zerolog.Logger, a gateway.Access) {
	line := log.Log().Time("time", a.End).Str("client", a.Client.String()).Str("peer", a.Peer.String()).
		Str("method", a.Method).Str("target", a.Target).Str("proto", a.Proto).Str("route", a.Route).
		Int("status", a.Status).Uint64("connection", a.Connection).Uint64("requests", a.ConnectionRequests).
		Int64("request_length", a.RequestLength).Dur("ms", a.End.Sub(a.Start))
	for _, name := range []string{"X-Packet-Match", "X-Packet-Latency", "X-Packet-Size", "X-Packet-Anomaly", "X-Packet"} {
		if value := a.Header.Get(name); value != "" {
			line = line.Str(name, value)
		}
	}
	line.Send()
}
