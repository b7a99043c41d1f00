package plugins

import (
	"fivetuple/correlator"
)

// look is what a plugin needs to find what is known of a call, used again for others: nothing of a request is left in it.
type look struct {
	deps    *Deps
	gateway gateway
	http2   func() bool // of the gateway, made once
	correlator.Found
}

func (l *look) init(d *Deps) {
	l.deps, l.gateway.counters = d, d.Counters
	l.http2 = l.gateway.isHTTP2
}

// sharesFound is a request that keeps what one of its plugins found for those behind it: our own server's, not the library's.
type sharesFound interface{ Found() *correlator.Found }

// find finds what is known of the call, unless a plugin before has.
func (l *look) find(plugin string, flagAbove float64) {
	l.Found = correlator.Found{}
	shared, ok := l.gateway.r.(sharesFound)
	if ok {
		l.Found = *shared.Found()
	}
	if l.Known && (flagAbove == 0 || flagAbove == l.FlagAbove) {
		return
	}
	if !l.Known {
		l.findTuple(plugin)
	}
	l.Known, l.FlagAbove = true, flagAbove
	if l.From.Way != "" {
		l.match()
	}
	if ok {
		*shared.Found() = l.Found
	}
}

func (l *look) findTuple(plugin string) {
	var err error
	l.Tuple, l.From, err = correlator.FindTuple(&l.gateway, l.deps.Tuple)
	if err != nil {
		l.deps.Log.Debug().Err(err).Str("plugin", plugin).Msg("call without a tuple")
		l.Result = correlator.Result{Reason: correlator.ReasonTuple}
	}
}

func (l *look) match() {
	call := correlator.Call{Tuple: l.Tuple, HTTP2: l.http2, FlagAbove: l.FlagAbove}
	l.gateway.identify(&call)
	if l.deps.Path != nil {
		call.Path = l.deps.Path(l.gateway.r.Path())
	}
	call.ContentLength, call.Chunked = l.gateway.body()
	l.Result = l.deps.Correlator.Match(l.deps.Now(), call)
}

// wrong is what is known of a call under a wrong configuration.
func (l *look) wrong() {
	l.Found = correlator.Found{Result: correlator.Result{Reason: correlator.ReasonConfig}}
}

// cleared says whether the gateway has cleared what the client sent under our names: its snippet, which sets the tuple's
// header, does.
func (l *look) cleared() bool { return l.From.Way == correlator.TupleHeader }
