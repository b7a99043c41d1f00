// Command standin plays the image of Apache APISIX in the smoke test of the Compose stack: it reads the two files at APISIX's
// paths, serves the ports that they name, and answers the health check. It is not APISIX; see fivetuple/examples/gateway.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/conf"
	"fivetuple/examples/gateway"
)

const (
	folder = "/usr/local/apisix/conf/"
	// generated is the file that APISIX writes when it starts, which it must be able to.
	generated = folder + "nginx.conf"

	workers       = 2
	statusTimeout = 5 * time.Second
)

func main() {
	log := zerolog.New(os.Stderr)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, log)
	stop()
	if err != nil {
		log.Error().Err(err).Msg("failed to run the stand-in")
		os.Exit(1)
	}
}

// run serves until the context ends or a listener fails.
func run(ctx context.Context, log zerolog.Logger) error {
	config, err := os.ReadFile(folder + "config.yaml")
	if err != nil {
		return err
	}
	settings, err := conf.ParseAPISIXConfig("config.yaml", config)
	if err != nil {
		return err
	}
	routes, err := os.ReadFile(folder + "apisix.yaml")
	if err != nil {
		return err
	}
	if err := os.WriteFile(generated, nil, 0o600); err != nil {
		return err
	}
	g, err := gateway.New(gateway.Options{
		APISIX: routes, Config: config, Names: [2]string{"apisix.yaml", "config.yaml"}, Workers: workers, Log: log,
	})
	if err != nil {
		return err
	}
	failed := make(chan error, 1+len(settings.Listen.Node))
	status, err := serveStatus(settings.Listen.Status, failed)
	if err != nil {
		return errors.Join(err, g.Close())
	}
	return errors.Join(serve(ctx, g, settings.Listen.Node, failed), g.Close(), status.Close())
}

// serve listens on the ports for calls, and waits for the end.
func serve(ctx context.Context, g *gateway.Gateway, ports []int, failed chan error) error {
	for _, port := range ports {
		l, err := net.Listen("tcp", ":"+strconv.Itoa(port))
		if err != nil {
			return err
		}
		go func() { failed <- g.Serve(l) }()
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// serveStatus answers /status/ready, as APISIX does when every worker has its routes.
func serveStatus(at conf.Status, failed chan<- error) (io.Closer, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(at.IP, strconv.Itoa(at.Port)))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status/ready", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, `{"status":"ok"}`) })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: statusTimeout}
	go func() { failed <- server.Serve(l) }()
	return server, nil
}
