package server

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/api7/ext-plugin-proto/go/A6"
	"github.com/google/go-cmp/cmp"
)

// Where ours answers otherwise than v0.5.0's server, on purpose, and how the comparison goes about it.
//
//   - Of a changed field with several values the library sends the first, and nothing if that one is as it came: of
//     each field the first value is compared.
//   - A field that did not come, and is deleted, is left out by the library: what the upstream gets is compared.
//   - Fields and arguments that were only read make the library answer with an empty rewrite, in the response's phase one
//     that ends the chain of plugins: what the upstream and the client get is compared, and only the last plugin of a
//     response's chain touches fields.
//   - Our plugin asks our server for the parts of the tuple in one go, where it has to ask the library's one after the
//     other and stops at the first that is not set: of ours, what the library's was asked is compared.
//   - With a prefix of its own, our plugin removes what the client sent under the standard one; over the library's contract
//     also what a plugin before it set there, because it cannot tell the two apart. Such a prefix is left out.
//   - A body of no bytes is asked for again by the library at each reading: a question is compared once.
//
// Left out, because the library fails there, and held by a test each (library_test.go): frames that a socket passes on in
// parts, as it does now and then from 32 KiB on and always from 219,260 bytes on, panics, wrong configurations, another configuration under the same key, frames of unknown types.

// differentialCalls is how many calls are compared; FIVETUPLE_DIFFERENTIAL gives another number.
const differentialCalls = 3000

// TestSameAnswersAsTheLibrary: the same random calls to both, each in a process of its own.
func TestSameAnswersAsTheLibrary(t *testing.T) {
	calls, seed := differentialCalls, uint64(1)
	if text := os.Getenv("FIVETUPLE_DIFFERENTIAL"); text != "" {
		var err error
		if calls, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("%d calls, seed %d", calls, seed)
	paths := libraryAndOurs(t)
	const workers = 2
	var wg sync.WaitGroup
	for i := range workers {
		d := &differential{
			t: t, random: rand.New(rand.NewPCG(seed, uint64(i))), name: strconv.Itoa(i),
			ours: dial(t, paths[childOurs]), library: dial(t, paths[childLibrary]),
		}
		wg.Go(func() { d.run(calls / workers) })
	}
	wg.Wait()
}

type differential struct {
	t             *testing.T
	random        *rand.Rand
	name          string
	ours, library *gateway
}

func (d *differential) run(calls int) {
	var conf []string
	var tokens [2]uint32
	isResponse := false
	for i := range calls {
		if i%20 == 0 {
			isResponse = d.random.IntN(4) == 0
			conf = d.conf(isResponse)
			prepare := encodePrepare(fmt.Sprintf("route#%s-%d#ext-plugin-pre-req#1", d.name, i), conf...)
			for n, g := range []*gateway{d.ours, d.library} {
				_ = g.conn.SetDeadline(time.Now().Add(patience))
				r, err := g.try(kindPrepareConf, prepare)
				if err != nil || r.Token == 0 {
					d.t.Errorf("PrepareConf of %q: %+v, %v", conf, r, err)
					return
				}
				tokens[n] = r.Token
			}
		}
		if diff := d.one(uint32(i), tokens, isResponse); diff != "" {
			d.t.Errorf("call %d of %q: library, ours:\n%s", i, conf, diff)
			return
		}
	}
}

// one makes a random call to both, and returns how the answers differ.
func (d *differential) one(id uint32, tokens [2]uint32, isResponse bool) string {
	vars, body := map[string]string{"a": d.text(), "b": d.text()}, []byte(nil)
	if d.random.IntN(2) == 0 {
		body = []byte(strings.Repeat("b", d.random.IntN(1<<d.random.IntN(15))))
	}
	q, p := d.call(id), d.respCall(id)
	var effects [2]effect
	for n, g := range []*gateway{d.library, d.ours} {
		g.vars, g.body, g.asked = vars, body, nil
		var r reply
		var err error
		if isResponse {
			p.token = tokens[1-n]
			r, err = g.try(kindHTTPRespCall, p.encode())
			effects[n] = effectOf(r, p.headers, nil, "")
			effects[n].Status = max(r.Status, 0)
		} else {
			q.token = tokens[1-n]
			r, err = g.try(kindHTTPReqCall, q.encode())
			effects[n] = effectOf(r, q.headers, q.args, q.path)
		}
		if err != nil {
			return fmt.Sprintf("%+v: %v", r, err)
		}
		slices.Sort(g.asked)
		effects[n].Asked = slices.Compact(g.asked)
	}
	if slices.Contains(effects[1].Asked, "$packet_tuple") {
		effects[1].Asked = slices.DeleteFunc(effects[1].Asked, func(name string) bool { return !slices.Contains(effects[0].Asked, name) })
	}
	return cmp.Diff(effects[0], effects[1])
}

// effect is what a call ends in: the answer to the client, or the request for the upstream.
type effect struct {
	Kind           kind
	ID             uint32
	Stopped        bool
	Status         int
	Path, Body     string
	First          map[string]string // of each field the first value
	Args, Response map[string][]string
	Asked          []string
}

func effectOf(r reply, headers, args [][2]string, path string) effect {
	e := effect{Kind: r.Kind, ID: r.ID, Stopped: r.Action == "stop", Status: r.Status, Path: path, Body: r.Body, First: map[string]string{}}
	if r.HasPath {
		e.Path = r.Path
	}
	for name, values := range applied(headers, r.Headers) {
		e.First[name] = values[0]
	}
	e.Args, e.Response = applied(args, r.Args), applied(nil, r.RespHeaders)
	return e
}

// applied returns fields after a rewrite: the fields it names are replaced by its values, or deleted.
func applied(were [][2]string, changes []pair) map[string][]string {
	all := map[string][]string{}
	for _, w := range were {
		name := http.CanonicalHeaderKey(w[0])
		all[name] = append(all[name], w[1])
	}
	for _, c := range changes {
		delete(all, http.CanonicalHeaderKey(c.Name))
	}
	for _, c := range changes {
		if name := http.CanonicalHeaderKey(c.Name); !c.Deleted {
			all[name] = append(all[name], c.Value)
		}
	}
	return all
}

func (d *differential) pick(from ...string) string { return from[d.random.IntN(len(from))] }

func (d *differential) text() string {
	return d.pick("", "1", "two", "a b", "\x00\xff", "caf\u00e9", "-", strings.Repeat("long", d.random.IntN(200)))
}

func (d *differential) field() string {
	return d.pick("x-a", "X-B", "x-some-field", "host", "accept", "x_under", "x-packet-match", "odd name", "x-c")
}

func (d *differential) pairs(name func() string) [][2]string {
	all := make([][2]string, d.random.IntN(8))
	for i := range all {
		all[i] = [2]string{name(), d.text()}
	}
	return all
}

func (d *differential) call(id uint32) call {
	return call{
		id: id, method: A6.Method(d.random.IntN(15)), ip: []byte(d.pick("\x7f\x00\x00\x01", strings.Repeat("\x20", 16))),
		path: d.pick("/", "/a", "/a/b?", "/%00", ""), args: d.pairs(func() string { return d.pick("a", "b", "c") }), headers: d.pairs(d.field),
	}
}

func (d *differential) respCall(id uint32) respCall {
	return respCall{id: id, status: uint16(200 + d.random.IntN(300)), headers: d.pairs(d.field)}
}

// conf makes a route of up to three plugins.
func (d *differential) conf(isResponse bool) []string {
	if isResponse {
		conf := []string{"noop", "", "say", `{}`}[:2*d.random.IntN(3)]
		if d.random.IntN(3) == 0 {
			return append(conf, "response-rewrite", d.pick(`{"headers":{"X-A":"1"}}`, `{"status":201,"body":"new"}`,
				`{"filters":[{"regex":"b+","scope":"once","replace":"c"}]}`, `{"filters":[{"regex":"b","scope":"global","replace":"cc"}]}`))
		}
		return append(conf, "script", d.script("rset", "rdel", "rpeek", "rview-add", "rstatus", "rwrite", "rvar", "rbody", "recho"))
	}
	var conf []string
	for range 1 + d.random.IntN(3) {
		switch d.random.IntN(6) {
		case 0:
			conf = append(conf, "packet-insight", d.pick(`{}`, `{"expose":"both"}`, `{"format":"dictionary"}`, `{"headers":["flow"]}`, `{"wrong":1}`))
		case 1:
			conf = append(conf, "say", d.pick(`{}`, `{"body":"said"}`, `{}`))
		case 2:
			conf = append(conf, "fault-injection", d.pick(`{"http_status":503,"percentage":0}`, `{"http_status":418,"body":"tea"}`, `{"http_status":204,"percentage":0}`))
		default:
			conf = append(conf, "script", d.script("set", "del", "get", "peek", "view", "path", "arg-set", "arg-add", "arg-del", "args", "resp-add",
				"resp", "var", "body", "echo", "set", "del", "get", "set", "var", "view-add", "view-count", "header", d.pick("echo", "status", "write")))
		}
	}
	return conf
}

// script makes operations.
func (d *differential) script(from ...string) string {
	ops := make([]op, d.random.IntN(8))
	for i := range ops {
		ops[i] = op{Do: d.pick(from...), K: d.field(), V: d.text()}
		if !strings.HasSuffix(ops[i].Do, "status") {
			ops[i].V = strings.ToValidUTF8(ops[i].V, "?")
		} else {
			ops[i].V = d.pick("0", "200", "302", "599")
		}
		switch ops[i].Do {
		case "var", "rvar":
			ops[i].K = d.pick("a", "b", "unset")
		case "arg-set", "arg-add", "arg-del":
			ops[i].K = d.pick("a", "b", "c", "d")
		case "get":
			ops[i].V = d.field()
		case "path":
			ops[i].V = d.pick("/new", "/", "")
		}
	}
	text, err := json.Marshal(ops)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// TestDifferentialSeesADifference: a comparison that finds nothing must be able to find something.
func TestDifferentialSeesADifference(t *testing.T) {
	path := filepath.Join(socketDir(t), "ours")
	startChild(t, childOurs, path)
	d := &differential{t: t, random: rand.New(rand.NewPCG(1, 1)), ours: dial(t, path), library: dial(t, path)}
	tokens := [2]uint32{d.ours.route(`[{"Do":"set","K":"X-A","V":"1"}]`), d.ours.route(`[{"Do":"set","K":"X-A","V":"2"}]`)}
	if diff := d.one(1, tokens, false); !strings.Contains(diff, "X-A") {
		t.Errorf("%q", diff)
	}
}
