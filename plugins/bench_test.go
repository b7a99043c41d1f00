package plugins_test

import (
	"net/http"
	"testing"

	pkghttp "github.com/apache/apisix-go-plugin-runner/pkg/http"
	"github.com/apache/apisix-go-plugin-runner/pkg/plugin"

	"fivetuple/correlator"
	"fivetuple/plugins"
)

// leanRequest is a call of our own server that allocates nothing itself; its changes are counted.
type leanRequest struct {
	pkghttp.Request
	found correlator.Found
	names [][]byte // of the headers that came
	set   int
}

func (r *leanRequest) Found() *correlator.Found { return &r.found }
func (r *leanRequest) Header() pkghttp.Header   { return r }
func (r *leanRequest) Method() string           { return http.MethodGet }
func (r *leanRequest) View() http.Header        { return nil }
func (r *leanRequest) Set(string, string)       { r.set++ }
func (r *leanRequest) Del(string)               {}

func (r *leanRequest) Get(name string) string {
	if name == correlator.TupleHeaderName {
		return wireTuple
	}
	return ""
}

func (r *leanRequest) All(yield func(name, value []byte) bool) {
	for _, name := range r.names {
		if !yield(name, nil) {
			return
		}
	}
}

// lean returns a filter of a call with plugins, each with a configuration, in their order.
func lean(tb testing.TB, confs ...[2]string) (filter func(), r *leanRequest) {
	tb.Helper()
	type step struct {
		plugin.Plugin
		conf any
	}
	all := map[string]plugin.Plugin{}
	for _, p := range plugins.All(judged(tb, newWire(), slow(0.9564))) {
		all[p.Name()] = p
	}
	var steps []step
	for _, c := range confs {
		parsed, err := all[c[0]].ParseConf([]byte(c[1]))
		if err != nil {
			tb.Fatal(err)
		}
		steps = append(steps, step{all[c[0]], parsed})
	}
	r = &leanRequest{names: [][]byte{[]byte("host"), []byte("user-agent"), []byte("accept"), []byte("x-packet-tuple")}}
	return func() {
		r.found = correlator.Found{}
		for _, s := range steps {
			s.RequestFilter(s.conf, nil, r)
		}
	}, r
}

// leanConfs are the plugins of a call, by what they are called in benchmarks.
func leanConfs() map[string][][2]string {
	insight, guard := [2]string{"packet-insight", `{}`}, [2]string{"packet-guard", `{}`}
	return map[string][][2]string{
		"insight": {insight}, "dictionary": {{"packet-insight", `{"format":"dictionary"}`}}, "guard": {guard},
		"enforce": {{"packet-guard", `{"mode":"enforce","refuse_above":1}`}}, "both": {guard, insight},
	}
}

// BenchmarkFilter is each plugin, and both, on a call of our own server whose source something is held against.
func BenchmarkFilter(b *testing.B) {
	for name, confs := range leanConfs() {
		b.Run(name, func(b *testing.B) {
			filter, _ := lean(b, confs...)
			b.ReportAllocs()
			for b.Loop() {
				filter()
			}
		})
	}
}
