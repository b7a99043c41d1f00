package metrics

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
	"golang.org/x/net/netutil"
)

const (
	// maxConnections and maxScrapes bound what readers can take; a connection beyond waits, a scrape beyond gets 503.
	maxConnections = 32
	maxScrapes     = 4

	readTime, writeTime, idleTime = 5 * time.Second, 15 * time.Second, time.Minute
	scrapeTime                    = 10 * time.Second
	maxHead                       = 8 << 10 // bytes
	// closeTime is how long scrapes under way may take when the runner ends: APISIX kills it soon.
	closeTime = 50 * time.Millisecond
	// listenAgain is how often a port that another process has is tried: most likely a runner whose place is being taken.
	listenAgain = 500 * time.Millisecond
)

// Pages are the handlers beside those of /metrics and /healthz. A page whose handler is nil is not served.
type Pages struct {
	Report http.Handler // /report
	Ready  http.Handler // /readyz
	Routes http.Handler // /routes
}

// Handler serves /metrics, /healthz, the pages, and nothing else. /healthz reports that the process serves. /readyz reports whether it
// has records: without them calls go on, and a restart of the runner would not bring them.
func Handler(registry *prometheus.Registry, pages Pages) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		EnableOpenMetrics: true, MaxRequestsInFlight: maxScrapes, Timeout: scrapeTime, ErrorHandling: promhttp.ContinueOnError,
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	for path, page := range map[string]http.Handler{"/report": pages.Report, "/readyz": pages.Ready, "/routes": pages.Routes} {
		if page != nil {
			mux.Handle("GET "+path, page)
		}
	}
	return mux
}

// Serve serves on an address until the context ends. While it is taken, it is tried again, and said once.
func Serve(ctx context.Context, address string, handler http.Handler, log zerolog.Logger) {
	listener := listen(ctx, address, log)
	if listener == nil {
		return
	}
	s := &http.Server{
		Handler: handler, MaxHeaderBytes: maxHead,
		ReadHeaderTimeout: readTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(netutil.LimitListener(listener, maxConnections)) }()
	log.Info().Stringer("address", listener.Addr()).Msg("metrics are served")
	select {
	case err := <-ended:
		log.Error().Err(err).Msg("metrics are served no more")
		return
	case <-ctx.Done():
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	if err := s.Shutdown(within); err != nil {
		_ = s.Close()
	}
	<-ended
}

// listen returns nil when the context has ended.
func listen(ctx context.Context, address string, log zerolog.Logger) net.Listener {
	var config net.ListenConfig
	said := false
	for {
		l, err := config.Listen(ctx, "tcp", address)
		switch {
		case err == nil:
			return l
		case errors.Is(err, context.Canceled) || ctx.Err() != nil:
			return nil
		case !said:
			log.Warn().Err(err).Dur("again_ms", listenAgain).Msg("metrics are not served yet: the address is tried again")
			said = true
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(listenAgain):
		}
	}
}
