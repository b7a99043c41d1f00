package plugins

import (
	"net/http"
	"sync"

	pkghttp "github.com/apache/apisix-go-plugin-runner/pkg/http"
	"github.com/apache/apisix-go-plugin-runner/pkg/plugin"

	"fivetuple/correlator/signal"
)

// guardHeader says what packet-guard would have answered.
const guardHeader = "X-Packet-Guard"

// PacketGuard refuses calls whose score is too high, or says that it would. It never refuses one of which nothing is known.
type PacketGuard struct {
	plugin.DefaultPlugin
	requestOnly
	deps Deps
	pool sync.Pool // of *guard
}

// guard is what one call needs, used again for others.
type guard struct {
	look
	remover remover
	out     structured
}

// NewPacketGuard returns the plugin.
func NewPacketGuard(d Deps) *PacketGuard {
	p := &PacketGuard{deps: d.withCounters()}
	p.pool.New = func() any {
		g := new(guard)
		g.init(&p.deps)
		g.remover.init(func(name []byte) bool { return equal(name, guardHeader) })
		return g
	}
	return p
}

// Name implements plugin.Plugin.
func (*PacketGuard) Name() string { return "packet-guard" }

// ParseConf implements plugin.Plugin. It never fails, as that of packet-insight.
func (p *PacketGuard) ParseConf(in []byte) (any, error) {
	conf, err := parseGuardConf(in)
	if err != nil {
		p.deps.Counters.ConfErrors.Add(1)
	}
	return conf, nil
}

// RequestFilter implements plugin.Plugin.
func (p *PacketGuard) RequestFilter(conf any, w http.ResponseWriter, r pkghttp.Request) {
	c, ok := conf.(*guardConf)
	if !ok {
		c = &guardConf{err: errForeignConf}
	}
	g := p.pool.Get().(*guard)
	defer func() {
		g.gateway.r = nil
		p.pool.Put(g)
	}()
	g.gateway.r = r
	if c.err != nil {
		p.deps.Counters.ConfErrorCalls.Add(1)
		g.wrong()
	} else {
		g.find(p.Name(), c.flagAbove)
	}
	v := g.Result.Facts.Verdict(c.signals)
	answer := g.answer(c, v)
	p.count(c, &g.gateway, answer)
	if answer == GuardRefuse {
		c.refuse(w)
		return
	}
	g.write(c, answer, v)
}

// answer decides. Without a record, or without a right configuration, the call passes.
func (g *guard) answer(c *guardConf, v signal.Verdict) GuardAnswer {
	switch {
	case c.err != nil, !g.Result.Judged, v.Score <= c.refuseAbove:
		return GuardPass
	case c.exempts(g.Tuple.Peer.Addr()):
		return GuardExempt
	case !c.enforce:
		return GuardObserve
	}
	return GuardRefuse
}

// count counts an answer under the route, which a configuration belongs to.
func (p *PacketGuard) count(c *guardConf, g *gateway, answer GuardAnswer) {
	counts := c.counts.Load()
	if counts == nil || counts.evicted.Load() {
		route := ""
		if r, ok := g.r.(routed); ok {
			route = r.Route().String()
		}
		counts = p.deps.Counters.guard.get(route)
		c.counts.Store(counts)
	}
	counts.answers[answer].Add(1)
}

// refuse answers the call in the upstream's place (RFC 6585, 4; RFC 9110, 10.2.3).
func (c *guardConf) refuse(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Retry-After", c.retryAfter)
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(c.status)
	_, _ = w.Write([]byte("request refused\n")) // the server's writer takes all
}

// write tells the upstream what the answer would have been, and removes what the client sent under that name. Where calls are
// refused, those that are not say nothing, unless the configuration is wrong. Where nothing is exposed, none says anything.
func (g *guard) write(c *guardConf, answer GuardAnswer, v signal.Verdict) {
	header := g.gateway.r.Header()
	g.remover.remove(header)
	if c.enforce || c.silent {
		if !g.cleared() {
			header.Del(guardHeader) // the gateway sends only the first 100
		}
		return
	}
	out := &g.out
	out.reset()
	if answer == GuardObserve {
		out.token("refuse")
		out.number("status", uint64(c.status))
	} else {
		out.token("pass")
		out.flag("exempt", answer == GuardExempt)
	}
	if g.Result.Judged {
		out.scoreOf("score", v.Score)
		out.signals(v.Signals)
	} else {
		out.word("reason", string(g.Result.Reason))
	}
	header.Set(guardHeader, string(out.buf))
}

var _ plugin.Plugin = (*PacketGuard)(nil)
