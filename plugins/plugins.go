// Package plugins holds fivetuple's plugins for Apache APISIX, one a file: from a request to its 5-tuple, and from what
// the correlator says of it to headers. They run on the library's plugin contract and know nothing of the server below.
package plugins

import (
	"github.com/apache/apisix-go-plugin-runner/pkg/plugin"
	"github.com/rs/zerolog"

	"fivetuple/correlator"
)

// Deps are what the plugins work with.
type Deps struct {
	Correlator *correlator.Correlator
	Tuple      string        // where a call's 5-tuple is looked for first: correlator.Options.Tuple
	Now        func() uint64 // CLOCK_MONOTONIC nanoseconds
	Counters   *Counters     // what is counted; nil: nobody reads it
	// Path returns what a call's record keeps of its path, without the request's memory; nil: nothing.
	Path func([]byte) string
	Log  zerolog.Logger
}

// withCounters returns the same, with counters.
func (d Deps) withCounters() Deps {
	if d.Counters == nil {
		d.Counters = new(Counters)
	}
	return d
}

// requestOnly marks a plugin that has nothing to do with responses. The server reports it as a configuration error under
// ext-plugin-post-resp, where it would do nothing.
type requestOnly struct{}

// RequestOnly has no effect.
func (requestOnly) RequestOnly() {}

// All returns every plugin: a new one is a line here.
func All(d Deps) []plugin.Plugin {
	d = d.withCounters()
	return []plugin.Plugin{
		NewPacketInsight(d),
		NewPacketGuard(d),
	}
}
