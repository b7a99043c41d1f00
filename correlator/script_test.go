package correlator_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"fivetuple/correlator"
	"fivetuple/correlator/flow"
)

func testOptions() correlator.Options {
	return correlator.Options{Tuple: correlator.TupleHeader, Connections: 1024, Stale: 5 * time.Second, Quiet: 5 * time.Second}
}

func newCorrelator(t testing.TB, table flow.Table) *correlator.Correlator {
	t.Helper()
	c, err := correlator.New(table, testOptions(), func(*correlator.CallRecord) {}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// script plays one connection: segments and calls in turn.
type script struct {
	t     *testing.T
	table *modelTable
	m     *model
	cor   *correlator.Correlator
	call  correlator.Call
	asked int // times that HTTP2 was asked
	http2 bool
}

// step is a thing that happens on the connection.
type step func(*script)

func newScript(t *testing.T, m *model) *script {
	t.Helper()
	s := &script{t: t, table: newModelTable(), m: m}
	s.call.Peer, s.call.Gateway = modelTuple(1)
	s.call.Connection = 1
	s.call.HTTP2 = func() bool { s.asked++; return s.http2 }
	s.table.models[s.call.Key()] = m
	s.cor = newCorrelator(t, s.table)
	return s
}

func (s *script) play(steps ...step) {
	for _, do := range steps {
		do(s)
	}
}

func (s *script) match(want string) {
	s.t.Helper()
	if got := describe(s.cor.Match(s.m.now, s.call)); got != want {
		s.t.Errorf("call %d:\n got %s\nwant %s", s.call.Requests, got, want)
	}
}

// describe returns a result as "match;what is said of it packets/payload", like "exchange;n=2;partial 3/1200".
func describe(res correlator.Result) string {
	var b strings.Builder
	b.WriteString(res.Match.String())
	for _, part := range []struct {
		set  bool
		text string
	}{
		{res.Number > 0, fmt.Sprintf("n=%d", res.Number)},
		{res.Partial, "partial"},
		{res.LengthUnknown, "length=unknown"},
		{res.TLS, "tls"},
		{res.Handshake, "handshake"},
		{res.Missed > 0, fmt.Sprintf("missed=%d", res.Missed)},
		{res.Reason != "", "reason=" + string(res.Reason)},
	} {
		if part.set {
			b.WriteString(";" + part.text)
		}
	}
	if res.Size.Known {
		fmt.Fprintf(&b, " %d/%d", res.Size.Packets, res.Size.Payload)
	}
	return b.String()
}

// rx lets payload arrive, one segment a size.
func rx(sizes ...int) step { return func(s *script) { s.m.rx(sizes...) } }

// tx sends payload.
func tx(sizes ...int) step { return func(s *script) { s.m.tx(sizes...) } }

// ask runs the plugin for the connection's next call, whose head and declared body have these lengths.
func ask(head, body uint64, want string) step {
	return func(s *script) {
		s.t.Helper()
		s.call.Requests++
		s.call.RequestLength, s.call.ContentLength, s.call.Chunked = head, body, false
		s.match(want)
	}
}

// askChunked is ask for a call whose body's length is not declared.
func askChunked(head uint64, want string) step {
	return func(s *script) {
		s.t.Helper()
		s.call.Requests++
		s.call.RequestLength, s.call.ContentLength, s.call.Chunked = head, 0, true
		s.match(want)
	}
}

// askAgain runs a plugin for the same call once more: post-req, or a retry.
func askAgain(want string) step {
	return func(s *script) { s.t.Helper(); s.match(want) }
}

// pass is a number of calls that meet no plugin.
func pass(calls uint64) step { return func(s *script) { s.call.Requests += calls } }

// first is what the peer's payload begins with.
func first(payload string) step { return func(s *script) { s.m.first = payload } }

// scenario is a named script and how its connection begins.
type scenario struct {
	name  string
	model func() *model
	steps []step
}

func playAll(t *testing.T, scenarios []scenario) {
	t.Helper()
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			m := newModel(modelISN)
			if sc.model != nil {
				m = sc.model()
			}
			newScript(t, m).play(sc.steps...)
		})
	}
}
