package plugins_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	pkghttp "github.com/apache/apisix-go-plugin-runner/pkg/http"
	"github.com/rs/zerolog"

	"fivetuple/correlator"
	"fivetuple/correlator/flow"
	"fivetuple/plugins"
)

// request is a call as the library gives it to a plugin. What packet-insight has no business with is not there: the
// embedded interface is nil.
type request struct {
	pkghttp.Request
	header   header
	response http.Header // nil until somebody asks for it
	vars     map[string][]byte
	err      error // of every Var
	asked    []string
}

// header notes what was deleted, also of what never came.
type header struct {
	http.Header
	deleted map[string]bool
}

// Del implements pkghttp.Header.
func (h header) Del(name string) {
	h.Header.Del(name)
	h.deleted[http.CanonicalHeaderKey(name)] = true
}

// View implements pkghttp.Header.
func (h header) View() http.Header { return h.Header }

// Method implements pkghttp.Request.
func (r *request) Method() string { return http.MethodGet }

// Header implements pkghttp.Request.
func (r *request) Header() pkghttp.Header { return r.header }

// RespHeader implements pkghttp.Request.
func (r *request) RespHeader() http.Header {
	if r.response == nil {
		r.response = http.Header{}
	}
	return r.response
}

// Var implements pkghttp.Request.
func (r *request) Var(name string) ([]byte, error) {
	r.asked = append(r.asked, name)
	return r.vars[name], r.err
}

// newRequest returns a call with header fields, each "name: value".
func newRequest(fields ...string) *request {
	r := &request{header: header{http.Header{}, map[string]bool{}}, vars: map[string][]byte{}}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		r.header.Add(name, value)
	}
	return r
}

// owned returns the request header fields that begin like ours, as an upstream reads them.
func owned(h http.Header) map[string]string {
	fields := map[string]string{}
	for name, values := range h {
		like := strings.ToLower(strings.ReplaceAll(name, "_", "-"))
		if strings.HasPrefix(like, "x-packet") || strings.HasPrefix(like, "x-net") {
			fields[strings.ToLower(name)] = strings.Join(values, " | ")
		}
	}
	return fields
}

// wire is a connection's record, made of exchanges, and the table that has it.
type wire struct {
	record flow.Record
	err    error
	udp    bool
}

const (
	wireTuple   = "192.0.2.7 50123 10.0.0.1 9080 17 1 1376"
	wireHeaders = 52 // bytes of IP and TCP in front of each segment
	wireNow     = 9_000_000_000
)

// newWire returns a connection of 23 ms with one request of two packets, 100 us apart; wireNow is 212 us later.
func newWire() *wire {
	w := &wire{}
	c := &w.record.Conn
	c.ID, c.SYN, c.SYNACK, c.ACK = 1, 1, 1_000, 23_501_000
	c.Dir[flow.RX].ISN, c.Dir[flow.RX].DataHigh, c.Dir[flow.RX].Known = 999, 1000, flow.KnownISN|flow.KnownSeq
	w.record.RTT = flow.RoundTrip{SmoothedUS8: 23_120 * 8, MinUS: 21_800}
	w.exchange("GET / HTTP/1.1\r\n", 1000, 376)
	return w
}

// exchange adds one with segments of these sizes.
func (w *wire) exchange(first string, sizes ...int) {
	r, d := &w.record, &w.record.Conn.Dir[flow.RX]
	if d.FirstLen == 0 {
		d.FirstLen = uint8(copy(d.FirstPayload[:], first))
	}
	r.Exchange++
	e := &r.Ring[r.Exchange%flow.Exchanges]
	*e = flow.Exchange{
		Payload: [2]uint64{d.Payload}, Packets: [2]uint32{d.DataPackets}, Headers: [2]uint32{d.DataHeaders}, Seq: [2]uint32{d.DataHigh},
		RXMin: uint16(slices.Min(sizes) + wireHeaders), RXMax: uint16(slices.Max(sizes) + wireHeaders),
	}
	const last = wireNow - 212_000
	e.Last[flow.RX] = flow.StampOf(last)
	e.First[flow.RX] = flow.StampOf(last - uint64(len(sizes)-1)*100_000)
	for _, n := range sizes {
		d.DataPackets++
		d.DataHeaders += wireHeaders
		d.Payload += uint64(n)
		d.DataHigh += uint32(n)
	}
}

// Lookup implements flow.Table.
func (w *wire) Lookup(_ flow.Key, r *flow.Record) error {
	*r = w.record
	return w.err
}

// HasUDP implements flow.Table.
func (w *wire) HasUDP(flow.Key) bool { return w.udp }

func newCorrelator(tb testing.TB, table flow.Table) *correlator.Correlator {
	tb.Helper()
	c, err := correlator.New(table, correlator.Options{Tuple: correlator.TupleHeader, Connections: 1024, Stale: 5 * time.Second, Quiet: 5 * time.Second}, nil, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// logged are the lines of a plugin's log.
type logged struct{ lines []map[string]string }

// Write implements io.Writer.
func (l *logged) Write(line []byte) (int, error) {
	fields := map[string]string{}
	err := json.Unmarshal(line, &fields)
	l.lines = append(l.lines, fields)
	return len(line), err
}

func newInsight(tb testing.TB, table flow.Table) (*plugins.PacketInsight, *logged) {
	tb.Helper()
	log := &logged{}
	return plugins.NewPacketInsight(plugins.Deps{
		Correlator: newCorrelator(tb, table), Tuple: correlator.TupleHeader,
		Now: func() uint64 { return wireNow }, Log: zerolog.New(log).Level(zerolog.InfoLevel),
	}), log
}

// filter runs packet-insight with a route's configuration.
func filter(tb testing.TB, table flow.Table, conf string, r *request) {
	tb.Helper()
	p, _ := newInsight(tb, table)
	parsed, err := p.ParseConf([]byte(conf))
	if err != nil {
		tb.Fatal(err)
	}
	p.RequestFilter(parsed, nil, r)
}

func checkFields(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if got[name] != want[name] {
			t.Errorf("%s: %s is %q, want %q", what, name, got[name], want[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if _, ok := got[name]; !ok {
			t.Errorf("%s: %s is missing, want %q", what, name, want[name])
		}
	}
}

// communityID is that of the wire's connection.
func communityID() string {
	return flow.CommunityID(flow.NewKey(flow.TCP, netip.MustParseAddrPort("10.0.0.1:9080"), netip.MustParseAddrPort("192.0.2.7:50123")))
}
