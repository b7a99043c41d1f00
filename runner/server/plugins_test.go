package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"runtime"
	"strconv"

	pkghttp "github.com/apache/apisix-go-plugin-runner/pkg/http"
	"github.com/apache/apisix-go-plugin-runner/pkg/plugin"
	"github.com/rs/zerolog"

	"fivetuple/correlator"
	"fivetuple/correlator/flow"
	"fivetuple/plugins"
)

// testPlugins are what both servers run: scripts, the library's examples and ours.
func testPlugins() []plugin.Plugin {
	all := []plugin.Plugin{
		noop{}, script{name: "script"}, script{name: "script2"}, say{}, faultInjection{}, responseRewrite{},
	}
	cor, err := correlator.New(noTable{}, correlator.Options{Tuple: correlator.TupleHeader, Connections: 1024, Stale: 5e9, Quiet: 5e9}, nil, nil)
	if err != nil {
		panic(err)
	}
	return append(all, plugins.All(plugins.Deps{
		Correlator: cor, Tuple: correlator.TupleHeader, Now: func() uint64 { return 1e9 }, Log: zerolog.Nop(),
	})...)
}

// noTable knows no connection.
type noTable struct{}

func (noTable) Lookup(flow.Key, *flow.Record) error { return flow.ErrNotFound }
func (noTable) HasUDP(flow.Key) bool                { return false }

// noop does nothing.
type noop struct{ plugin.DefaultPlugin }

func (noop) Name() string                                            { return "noop" }
func (noop) ParseConf([]byte) (any, error)                           { return nil, nil }
func (noop) RequestFilter(any, http.ResponseWriter, pkghttp.Request) {}
func (noop) ResponseFilter(any, pkghttp.Response)                    {}

// op is one thing that a script does.
type op struct {
	Do, K, V string
}

// script does what its configuration lists, over the library's contract.
type script struct{ name string }

func (s script) Name() string { return s.name }

func (s script) ParseConf(in []byte) (any, error) {
	if bytes.Contains(in, []byte(`"parse-panic"`)) {
		panic("parse-panic")
	}
	var ops []op
	err := json.Unmarshal(in, &ops)
	return ops, err
}

func (s script) RequestFilter(conf any, w http.ResponseWriter, r pkghttp.Request) {
	for _, o := range conf.([]op) {
		if !requestField(o, r) && !requestAsk(o, r) {
			stopOp(o, w)
		}
	}
}

// requestField does what concerns a request's own fields.
func requestField(o op, r pkghttp.Request) bool {
	switch o.Do {
	case "set":
		r.Header().Set(o.K, o.V)
	case "del":
		r.Header().Del(o.K)
	case "get":
		r.Header().Set(o.V, "got:"+r.Header().Get(o.K))
	case "peek":
		_ = r.Header().Get(o.K)
	case "view":
		_ = r.Header().View()
	case "set-n":
		n, _ := strconv.Atoi(o.V)
		r.Header().Set(o.K, string(make([]byte, n)))
	case "view-add":
		r.Header().View().Add(o.K, o.V)
	case "view-count":
		r.Header().Set(o.K, strconv.Itoa(len(r.Header().View())))
	case "path":
		r.SetPath([]byte(o.V))
	case "arg-set":
		r.Args().Set(o.K, o.V)
	case "arg-add":
		r.Args().Add(o.K, o.V)
	case "arg-del":
		r.Args().Del(o.K)
	case "args":
		_ = r.Args()
	case "resp-add":
		r.RespHeader().Add(o.K, o.V)
	case "resp":
		_ = r.RespHeader()
	default:
		return false
	}
	return true
}

// more is what our requests have beyond the library's.
type more interface {
	SetBody(body []byte)
	Vars(names ...string) ([][]byte, error)
	Route() correlator.Route
}

// requestAsk does what asks the gateway, or tells what came.
func requestAsk(o op, r pkghttp.Request) bool {
	ours, isOurs := r.(more)
	switch o.Do {
	case "var":
		value, err := r.Var(o.K)
		r.Header().Set("X-Var-"+o.K, fmt.Sprintf("%q,%t,%v", value, value == nil, err))
	case "body":
		body, err := r.Body()
		r.Header().Set("X-Body", fmt.Sprintf("%d,%x,%v", len(body), checksum(body), err))
	case "echo":
		r.Header().Set("X-Echo", fmt.Sprintf("%d,%s,%s,%s", r.ID(), r.Method(), r.Path(), r.SrcIP()))
	case "alive":
		r.Header().Set("X-Alive", fmt.Sprint(r.Context().Err() == nil))
	case "panic":
		panic(o.V)
	case "goexit":
		runtime.Goexit()
	case "set-huge":
		if isOurs {
			ours.SetBody(make([]byte, 1<<30))
		}
	case "set-body":
		if isOurs {
			ours.SetBody([]byte(o.V))
		}
	case "vars":
		if isOurs {
			got, err := ours.Vars("a", "b", "unset", "d")
			r.Header().Set("X-Vars", fmt.Sprintf("%q,%t,%v", got, got[2] == nil, err))
		}
	case "route":
		if isOurs {
			r.Header().Set("X-Route", routeText(ours.Route()))
		}
	default:
		return false
	}
	return true
}

func routeText(r correlator.Route) string {
	return fmt.Sprintf("%s,%s,%s,%t", r.Route, r.Service, r.Consumer, r.Global)
}

func checksum(b []byte) (sum uint32) {
	for _, c := range b {
		sum = sum*31 + uint32(c)
	}
	return sum
}

// stopOp answers in the upstream's place.
func stopOp(o op, w http.ResponseWriter) {
	switch o.Do {
	case "status":
		n, _ := strconv.Atoi(o.V)
		w.WriteHeader(n)
	case "write":
		_, _ = w.Write([]byte(o.V))
	case "write-n":
		n, _ := strconv.Atoi(o.V)
		_, _ = w.Write(make([]byte, n))
	case "header":
		w.Header().Add(o.K, o.V)
	}
}

func (s script) ResponseFilter(conf any, w pkghttp.Response) {
	for _, o := range conf.([]op) {
		responseOp(o, w)
	}
}

func responseOp(o op, w pkghttp.Response) {
	switch o.Do {
	case "rset":
		w.Header().Set(o.K, o.V)
	case "rdel":
		w.Header().Del(o.K)
	case "rpeek":
		_ = w.Header().Get(o.K)
	case "rview-add":
		w.Header().View().Add(o.K, o.V)
	case "rstatus":
		n, _ := strconv.Atoi(o.V)
		w.WriteHeader(n)
	case "rwrite":
		_, _ = w.Write([]byte(o.V))
	case "rwrite-n":
		n, _ := strconv.Atoi(o.V)
		_, _ = w.Write(make([]byte, n))
	case "rvar":
		value, err := w.Var(o.K)
		_, _ = fmt.Fprintf(w, "%s=%q,%v;", o.K, value, err)
	case "rbody":
		body, err := w.ReadBody()
		_, _ = fmt.Fprintf(w, "body=%d,%x,%v;", len(body), checksum(body), err)
	case "recho":
		_, _ = fmt.Fprintf(w, "%d,%d;", w.ID(), w.StatusCode())
	case "rpanic":
		panic(o.V)
	case "rroute":
		if ours, ok := w.(interface{ Route() correlator.Route }); ok {
			_, _ = w.Write([]byte(routeText(ours.Route())))
		}
	}
}

// say, faultInjection and responseRewrite do what the library's examples of these names do.
type say struct{ plugin.DefaultPlugin }

func (say) Name() string { return "say" }

func (say) ParseConf(in []byte) (any, error) {
	var c struct{ Body string }
	err := json.Unmarshal(in, &c)
	return c.Body, err
}

func (say) RequestFilter(conf any, w http.ResponseWriter, _ pkghttp.Request) {
	if body := conf.(string); body != "" {
		w.Header().Add("X-Resp-A6-Runner", "Go")
		_, _ = w.Write([]byte(body))
	}
}

func (say) ResponseFilter(any, pkghttp.Response) {}

type faultConf struct {
	Body       string
	Status     int `json:"http_status"`
	Percentage *int
}

type faultInjection struct{ plugin.DefaultPlugin }

func (faultInjection) Name() string { return "fault-injection" }

func (faultInjection) ParseConf(in []byte) (any, error) {
	var c faultConf
	if err := json.Unmarshal(in, &c); err != nil {
		return nil, err
	}
	if c.Status < http.StatusOK {
		return nil, errors.New("bad http_status")
	}
	return c, nil
}

func (faultInjection) RequestFilter(conf any, w http.ResponseWriter, _ pkghttp.Request) {
	c := conf.(faultConf)
	if c.Percentage != nil && rand.IntN(100) >= *c.Percentage {
		return
	}
	w.WriteHeader(c.Status)
	if c.Body != "" {
		_, _ = w.Write([]byte(c.Body))
	}
}

func (faultInjection) ResponseFilter(any, pkghttp.Response) {}

type rewriteConf struct {
	Status  int
	Headers map[string]string
	Body    string
	Filters []struct{ Regex, Scope, Replace string }
}

type responseRewrite struct{ plugin.DefaultPlugin }

func (responseRewrite) Name() string { return "response-rewrite" }

func (responseRewrite) ParseConf(in []byte) (any, error) {
	var c rewriteConf
	if err := json.Unmarshal(in, &c); err != nil {
		return nil, err
	}
	for _, f := range c.Filters {
		if _, err := regexp.Compile(f.Regex); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (responseRewrite) RequestFilter(any, http.ResponseWriter, pkghttp.Request) {}

func (responseRewrite) ResponseFilter(conf any, w pkghttp.Response) {
	c := conf.(rewriteConf)
	if c.Status > 0 {
		w.WriteHeader(c.Status)
	}
	w.Header().Set("X-Resp-A6-Runner", "Go")
	for name, value := range c.Headers {
		w.Header().Set(name, value)
	}
	body := []byte(c.Body)
	if len(c.Filters) > 0 {
		var err error
		if body, err = w.ReadBody(); err != nil {
			return
		}
	}
	for _, f := range c.Filters {
		n := -1
		if f.Scope == "once" {
			n = 1
		}
		if found := regexp.MustCompile(f.Regex).Find(body); found != nil {
			body = bytes.Replace(body, found, []byte(f.Replace), n)
		}
	}
	if len(body) > 0 {
		_, _ = w.Write(body)
	}
}
