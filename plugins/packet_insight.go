package plugins

import (
	"net/http"

	pkghttp "github.com/apache/apisix-go-plugin-runner/pkg/http"
	"github.com/apache/apisix-go-plugin-runner/pkg/plugin"

	"fivetuple/correlator"
)

// PacketInsight puts what the network did to a call on the call, as headers. It never stops one.
type PacketInsight struct {
	plugin.DefaultPlugin
	deps Deps
}

// NewPacketInsight returns the plugin.
func NewPacketInsight(d Deps) *PacketInsight { return &PacketInsight{deps: d} }

// Name implements plugin.Plugin.
func (*PacketInsight) Name() string { return "packet-insight" }

// ParseConf implements plugin.Plugin. It never fails: the server below skips a plugin whose configuration does not parse,
// and the route would run without it unseen. The configuration carries its error instead, and every call says so.
func (p *PacketInsight) ParseConf(in []byte) (any, error) {
	conf, err := parseInsightConf(in)
	if err != nil {
		p.deps.Log.Error().Err(err).Str("plugin", p.Name()).Msg("wrong configuration: its calls say none;reason=config")
	}
	return conf, nil
}

// RequestFilter implements plugin.Plugin.
func (p *PacketInsight) RequestFilter(conf any, _ http.ResponseWriter, r pkghttp.Request) {
	c, ok := conf.(insightConf)
	if !ok {
		c = insightConf{err: errForeignConf}.withDefaults()
	}
	g := gateway{r}
	var res correlator.Result
	var found string
	if c.err != nil {
		res.Reason = correlator.ReasonConfig
	} else {
		res, found = p.match(g)
	}
	h := insightHeaders{conf: &c, result: &res}
	// A gateway whose snippet sets the tuple's header has cleared what the client sent under our names.
	h.truncated = found != correlator.TupleHeader && g.countHeaders() >= maxGatewayHeaders
	h.write(r)
}

// match returns what is known of the call, and which way its tuple came.
func (p *PacketInsight) match(g gateway) (correlator.Result, string) {
	tuple, found, err := correlator.FindTuple(g, p.deps.Tuple)
	if err != nil {
		p.deps.Log.Debug().Err(err).Str("plugin", p.Name()).Msg("call without a tuple")
		return correlator.Result{Reason: correlator.ReasonTuple}, found
	}
	call := correlator.Call{Tuple: tuple, HTTP2: g.isHTTP2}
	call.ContentLength, call.Chunked = g.body()
	return p.deps.Correlator.Match(p.deps.Now(), call), found
}

var _ plugin.Plugin = (*PacketInsight)(nil)
