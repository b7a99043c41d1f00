package plugins

import (
	"net/http"
	"sync"

	pkghttp "github.com/apache/apisix-go-plugin-runner/pkg/http"
	"github.com/apache/apisix-go-plugin-runner/pkg/plugin"
)

// PacketInsight puts what the network did to a call on the call, as headers. It never stops one.
type PacketInsight struct {
	plugin.DefaultPlugin
	requestOnly
	deps Deps
	pool sync.Pool // of *insight
}

// insight is what one call needs, used again for others.
type insight struct {
	look
	headers insightHeaders
}

// NewPacketInsight returns the plugin.
func NewPacketInsight(d Deps) *PacketInsight {
	p := &PacketInsight{deps: d.withCounters()}
	p.pool.New = func() any {
		i := new(insight)
		i.init(&p.deps)
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
	if c.err != nil {
		p.deps.Counters.ConfErrorCalls.Add(1)
		i.wrong()
	} else {
		i.find(p.Name(), c.flagAbove)
		p.deps.Counters.tuple(i.From)
	}
	p.deps.Counters.matches[i.Result.Match].Add(1)
	h := &i.headers
	h.conf, h.result = c, &i.Result
	h.cleared = i.cleared()
	h.truncated = !h.cleared && i.gateway.countHeaders() >= maxGatewayHeaders
	h.write(r)
}

var _ plugin.Plugin = (*PacketInsight)(nil)
