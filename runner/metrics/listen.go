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
)

const (
	// maxConnections and maxScrapes bound what readers can take; for a connection beyond another is closed, a scrape beyond waits its turn.
	maxConnections = 128
	maxScrapes     = 4

	readTime, writeTime, idleTime = 5 * time.Second, 15 * time.Second, 10 * time.Second
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
	mux.Handle("GET /metrics", inTurn(maxScrapes, promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		EnableOpenMetrics: true, Timeout: scrapeTime, ErrorHandling: promhttp.ContinueOnError,
	})))
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

// inTurn has so many requests answered at once, and the others wait, the first to come first, for scrapeTime at most: then they get 503.
// The answer is made in memory, so that whoever reads slowly keeps nobody's turn.
func inTurn(most int, next http.Handler) http.Handler {
	turns := make(chan struct{}, most)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		waits, cancel := context.WithTimeout(r.Context(), scrapeTime)
		defer cancel()
		select {
		case turns <- struct{}{}:
		case <-waits.Done():
			http.Error(w, "too many scrapes at once", http.StatusServiceUnavailable)
			return
		}
		made := false
		release := func() {
			if !made {
				made = true
				<-turns
			}
		}
		defer release()
		next.ServeHTTP(&turnWriter{ResponseWriter: w, release: release}, r)
	})
}

// turnWriter ends a turn when the answer begins to be written.
type turnWriter struct {
	http.ResponseWriter
	release func()
}

// WriteHeader implements http.ResponseWriter.
func (w *turnWriter) WriteHeader(status int) {
	w.release()
	w.ResponseWriter.WriteHeader(status)
}

// Place is where the figures are served, and by which names.
type Place struct {
	Address string   // IP address and port
	Hosts   []string // names that a request's Host may be, beside localhost and this host's name
}

// Serve serves at a place until the context ends, and registers what it counts. While the address is taken, it is tried again, and
// that is logged once.
func Serve(ctx context.Context, at Place, handler http.Handler, registry prometheus.Registerer, log zerolog.Logger) {
	readers, names := newConnections(maxConnections), newHosts(at.Hosts)
	registry.MustRegister(
		counterFunc("metrics_connections_evicted_total", "Connections of readers of the metrics that were closed for a new one.", nil, readers.evicted.Load),
		counterFunc("metrics_requests_misdirected_total", "Requests that named a host other than metrics.hosts, and got the status 421.", nil,
			names.refused.Load),
	)
	listener := listen(ctx, at.Address, log)
	if listener == nil {
		return
	}
	s := &http.Server{
		Handler: names.check(handler), MaxHeaderBytes: maxHead,
		ReadHeaderTimeout: readTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
	}
	readers.install(s)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(listener) }()
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
