package plugins

import (
	"net/http"
	"sync"

	pkghttp "github.com/apache/apisix-go-plugin-runner/pkg/http"
	"github.com/apache/apisix-go-plugin-runner/pkg/plugin"

	"fivetuple/correlator"
)

// PacketInsight puts what the network did to a call on the call, as headers. It never stops one.
type PacketInsight struct {
	plugin.DefaultPlugin
	deps Deps
	pool sync.Pool // of *insight
}

// insight is what one call needs, used again for others: nothing of a request is left in it.
type insight struct {
	gateway gateway
	http2   func() bool // of the gateway, made once
	result  correlator.Result
	headers insightHeaders
}

// NewPacketInsight returns the plugin.
func NewPacketInsight(d Deps) *PacketInsight {
	if d.Counters == nil {
		d.Counters = new(Counters)
	}
	p := &PacketInsight{deps: d}
	p.pool.New = func() any {
		i := &insight{gateway: gateway{counters: d.Counters}}
		i.http2 = i.gateway.isHTTP2
		i.headers.init()
		return i
	}
	return p
}

// Name implements plugin.Plugin.
func (*PacketInsight) Name() string { return "packet-insight" }

// ParseConf implements plugin.Plugin. It never fails: the library's server skips a plugin whose configuration does not
// parse, and the route would run without it unseen. The configuration carries its error instead (ConfError): every call
// says so, and a server that asks for it logs it, and may refuse the calls.
func (p *PacketInsight) ParseConf(in []byte) (any, error) {
	conf, err := parseInsightConf(in)
	if err != nil {
		p.deps.Counters.ConfErrors.Add(1)
	}
	return &conf, nil
}

// ConfError returns what is wrong with the configuration; nil if nothing is.
func (c *insightConf) ConfError() error { return c.err }

// RequestFilter implements plugin.Plugin.
func (p *PacketInsight) RequestFilter(conf any, _ http.ResponseWriter, r pkghttp.Request) {
	c, ok := conf.(*insightConf)
	if !ok {
		foreign := insightConf{err: errForeignConf}.withDefaults()
		c = &foreign
	}
	i := p.pool.Get().(*insight)
	defer func() {
		i.gateway.r = nil
		p.pool.Put(i)
	}()
	i.gateway.r = r
	var found string
	if i.result = (correlator.Result{Reason: correlator.ReasonConfig}); c.err != nil {
		p.deps.Counters.ConfErrorCalls.Add(1)
	} else {
		i.result, found = p.match(i)
	}
	p.deps.Counters.matches[i.result.Match].Add(1)
	h := &i.headers
	h.conf, h.result = c, &i.result
	// A gateway whose snippet sets the tuple's header has cleared what the client sent under our names.
	h.cleared = found == correlator.TupleHeader
	h.truncated = !h.cleared && i.gateway.countHeaders() >= maxGatewayHeaders
	h.write(r)
}

// match returns what is known of the call, and which way its tuple came.
func (p *PacketInsight) match(i *insight) (correlator.Result, string) {
	tuple, from, err := correlator.FindTuple(&i.gateway, p.deps.Tuple)
	p.deps.Counters.tuple(from)
	if err != nil {
		p.deps.Log.Debug().Err(err).Str("plugin", p.Name()).Msg("call without a tuple")
		return correlator.Result{Reason: correlator.ReasonTuple}, from.Way
	}
	call := correlator.Call{Tuple: tuple, HTTP2: i.http2}
	i.gateway.identify(&call)
	if p.deps.Path != nil {
		call.Path = p.deps.Path(i.gateway.r.Path())
	}
	call.ContentLength, call.Chunked = i.gateway.body()
	return p.deps.Correlator.Match(p.deps.Now(), call), from.Way
}

var _ plugin.Plugin = (*PacketInsight)(nil)
