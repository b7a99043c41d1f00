package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// Options configures a stand-in.
type Options struct {
	APISIX []byte    // content of apisix.yaml (routes)
	Config []byte    // content of APISIX's config.yaml (socket path, snippets); may be empty
	Names  [2]string // file names of both, for messages
	// Workers is how many nginx workers to imitate, 1 to 1024; 0 means 1.
	Workers int
	// Dial connects to upstreams; nil: net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is the configuration for ServeTLS; nil: no TLS. Without NextProtos, h2 and http/1.1 are offered.
	TLS *tls.Config
	// Now is the clock of tokens, pools and log records; nil: time.Now. Time-outs of sockets are real time.
	Now func() time.Time
	Log zerolog.Logger
	// AccessLog is called when a call ended, from several goroutines; may be nil.
	AccessLog func(Access)
}

const maxWorkers = 1 << 10 // above, the ids of HTTPReqCall would overflow 32 bits

// Errors of [New] and of serving.
var (
	errWorkers  = errors.New("workers out of range")
	errNoSocket = errors.New("ext-plugin.path_for_test is missing, and a route has a plugin")
	errNoTLS    = errors.New("no TLS configuration")
)

// Gateway plays APISIX; see the package comment for what it plays.
type Gateway struct {
	routes    []*route
	global    globalRules
	snippets  *snippets
	version   string // of the configuration: one for all routes, as in APISIX's standalone mode
	workers   []*worker
	dict      *tokenDict
	transport *http.Transport
	tls       *tls.Config
	now       func() time.Time
	log       zerolog.Logger
	accessLog func(Access)

	h2          *http.Server
	h2conns     *connQueue
	connections atomic.Uint64 // numbers given to client connections

	calls  context.Context // of all calls; ends when Close stops waiting
	cancel context.CancelFunc

	mu        sync.Mutex
	closed    bool
	listeners map[net.Listener]struct{}
	open      map[*connection]struct{}
	serving   sync.WaitGroup // client connections
}

// New reads both configurations. Its errors about their content are [ErrConfig].
func New(o Options) (*Gateway, error) {
	if o.Workers == 0 {
		o.Workers = 1
	}
	if o.Workers < 0 || o.Workers > maxWorkers {
		return nil, fmt.Errorf("%w: %d, want 1 to %d", errWorkers, o.Workers, maxWorkers)
	}
	routes, global, err := loadRoutes(fileName(o.Names[0], "apisix.yaml"), o.APISIX)
	if err != nil {
		return nil, err
	}
	name := fileName(o.Names[1], "config.yaml")
	config, err := loadConfig(name, o.Config)
	if err != nil {
		return nil, err
	}
	for _, r := range routes {
		if config.socket == "" && (r.pre != nil || r.post != nil || r.postResp != nil) {
			return nil, fmt.Errorf("%w: %s: %w: %s", ErrConfig, name, errNoSocket, r.id)
		}
	}
	for _, key := range config.ignored {
		o.Log.Info().Str("file", name).Str("key", key).Msg("the stand-in does not look at this key")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	g := newGateway(o, config)
	g.routes, g.global = routes, global
	return g, nil
}

func newGateway(o Options, config *settings) *Gateway {
	g := &Gateway{
		snippets: config.snippets, version: strconv.FormatInt(o.Now().Unix(), 10),
		dict: newTokenDict(), transport: newTransport(o.Dial),
		now: o.Now, log: o.Log, accessLog: o.AccessLog,
		listeners: make(map[net.Listener]struct{}), open: make(map[*connection]struct{}),
	}
	g.calls, g.cancel = context.WithCancel(context.Background())
	dial := func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", config.socket)
	}
	for i := range o.Workers {
		g.workers = append(g.workers, &worker{index: i, tokens: newTokenLRU(), runners: &pool{dial: dial, now: o.Now}})
	}
	if o.TLS != nil {
		g.tls = o.TLS.Clone()
		if len(g.tls.NextProtos) == 0 {
			g.tls.NextProtos = []string{"h2", "http/1.1"}
		}
	}
	g.h2, g.h2conns = newHTTP2(g)
	return g
}

func fileName(given, otherwise string) string {
	if given == "" {
		return otherwise
	}
	return given
}
