package stack_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"fivetuple/correlator"
	"fivetuple/examples/lab"
)

// row is what was found of a kind of call.
type row struct {
	kind                          string
	calls, met, records, lost     int
	packets, bytes, named, splits int // records of which it is right
	cut                           int // of those, records that say that the end was not seen
}

// comparison holds the records against the capture.
type comparison struct {
	t       *testing.T
	records map[[16]byte][]correlator.CallRecord
	flows   map[lab.FlowKey][]*lab.Flow
	rows    map[string]*row
	order   []string
}

// compare returns the table, a row for each kind.
func (tr *traffic) compare(packets []lab.Packet, records []correlator.CallRecord) []row {
	c := &comparison{
		t: tr.t, records: make(map[[16]byte][]correlator.CallRecord), flows: flowsOf(packets), rows: make(map[string]*row),
	}
	for _, r := range records {
		c.records[r.TraceID] = append(c.records[r.TraceID], r)
	}
	for _, t := range tr.talks {
		c.talk(t)
	}
	for trace, r := range c.records {
		c.t.Errorf("%d records of a call that nobody made: %x, %s, %v", len(r), trace, describe(&r[0]), r[0].Peer)
	}
	var table []row
	for _, kind := range c.order {
		table = append(table, *c.rows[kind])
	}
	return table
}

// talk compares the calls of a connection.
func (c *comparison) talk(t *talk) {
	r := c.row(t.kind)
	r.calls += len(t.calls)
	flows := c.flows[t.key]
	if len(flows) == 0 {
		c.t.Errorf("%s, %v: the capture has no such connection", t.kind, t.key)
		return
	}
	c.flows[t.key] = flows[1:]
	shares, err := t.shares(flows[0])
	if err != nil {
		c.t.Errorf("%s, %v: %v", t.kind, t.key.Remote, err)
		return
	}
	for i, call := range t.calls {
		c.call(r, t, i, call)
	}
	for _, s := range shares {
		c.share(r, t, flows[0], s)
	}
	for _, call := range t.calls {
		delete(c.records, call.trace)
	}
}

func (c *comparison) row(kind string) *row {
	r := c.rows[kind]
	if r == nil {
		r = &row{kind: kind}
		c.rows[kind] = r
		c.order = append(c.order, kind)
	}
	return r
}

// call compares what a call's record says beside its figures.
func (c *comparison) call(r *row, t *talk, i int, call *sent) {
	records := c.records[call.trace]
	name := fmt.Sprintf("%s, %v, call %d", t.kind, t.key.Remote, i+1)
	if call.want == "" {
		if len(records) > 0 {
			c.t.Errorf("%s: a record of a call that met no plugin: %s", name, describe(&records[0]))
		}
		return
	}
	r.met++
	r.records += len(records)
	if call.lost && len(records) == 0 {
		r.lost++
		return
	}
	if len(records) != 1 {
		c.t.Errorf("%s: %d records, want 1", name, len(records))
		return
	}
	record := &records[0]
	got := describe(record)
	if record.Cut {
		r.cut++
	}
	inOrder := t.rules.http2 || record.Requests == uint64(i+1)
	if ok := got == call.want || t.rules.mayCut && got == call.want+";cut"; ok && inOrder && record.Peer == t.key.Remote && record.Gateway == t.key.Local {
		r.named++
	} else {
		c.t.Errorf("%s: %s, request %d of %v, want %s", name, got, record.Requests, record.Peer, call.want)
	}
	if addsUp(record) {
		r.splits++
	} else {
		c.t.Errorf("%s: split %+v of %+v", name, record.Split, record.At)
	}
}

// addsUp says whether the parts of a call's time are the whole, and the whole is the time until the last byte of its
// response was acknowledged.
func addsUp(r *correlator.CallRecord) bool {
	s := r.Split
	sum := s.Network + s.Arriving + s.Waiting + s.Serving + s.Leaving
	return sum == s.Total && (r.At.Acknowledged == 0 || s.Total == r.At.Acknowledged-r.At.FirstRequest)
}

// share compares the figures of calls that share exchanges with what the capture shows of those.
func (c *comparison) share(r *row, t *talk, f *lab.Flow, s share) {
	request, response := s.of(f)
	var gotRequest, gotResponse carried
	var records []correlator.CallRecord
	for _, call := range s.calls {
		records = append(records, c.records[call.trace]...)
	}
	if len(records) == 0 {
		return // it is lost, or missing, which was reported
	}
	cut := false
	for i := range records {
		gotRequest.add(&records[i].Request)
		gotResponse.add(&records[i].Response)
		cut = cut || records[i].Cut
	}
	packets := gotRequest.packets == uint64(len(request)) && gotResponse.packets == uint64(len(response))
	bytes := gotRequest.equals(request) && gotResponse.equals(response)
	switch {
	case t.rules.midway:
		packets = gotRequest.packets <= uint64(len(request)) && gotResponse.packets <= uint64(len(response))
		bytes = packets
	case cut && t.rules.mayCut, t.rules.silence:
		packets = gotRequest.begins(request) && gotResponse.begins(response)
		bytes = packets
	}
	if packets {
		r.packets += len(records)
	}
	if bytes {
		r.bytes += len(records)
	}
	if !packets || !bytes {
		c.t.Errorf("%s, %v, exchanges %d..%d: %d packets and %d bytes came, %d and %d went; the capture has %v and %v",
			t.kind, t.key.Remote, s.from, s.to, gotRequest.packets, gotRequest.bytes, gotResponse.packets, gotResponse.bytes,
			sum(request), sum(response))
	}
	if !t.rules.http2 {
		c.numbers(t, s, records)
	}
}

func sum(segments []lab.Segment) (c carried) {
	for _, s := range segments {
		c.packets++
		c.bytes += uint64(s.IPBytes)
	}
	return c
}

// numbers checks that one record names the exchanges, and the others none.
func (c *comparison) numbers(t *talk, s share, records []correlator.CallRecord) {
	named := 0
	for i := range records {
		r := &records[i]
		switch {
		case r.First == 0 && r.Request.Packets == 0 && r.Response.Packets == 0:
		case int(r.First) == s.from && (int(r.Last) == s.to || r.Cut && int(r.Last) <= s.to):
			named++
		default:
			named = len(records) + 1
		}
	}
	if named != 1 {
		c.t.Errorf("%s, %v: %d records name exchanges %d..%d: the first %d..%d", t.kind, t.key.Remote, named, s.from, s.to,
			records[0].First, records[0].Last)
	}
}

// print returns the table as text, with a sum.
func printTable(rows []row) string {
	total := row{kind: "all"}
	for _, r := range rows {
		total.calls, total.met, total.records, total.lost = total.calls+r.calls, total.met+r.met, total.records+r.records, total.lost+r.lost
		total.packets, total.bytes, total.named = total.packets+r.packets, total.bytes+r.bytes, total.named+r.named
		total.splits, total.cut = total.splits+r.splits, total.cut+r.cut
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight|tabwriter.TabIndent)
	fmt.Fprint(w, "kind\tcalls\tmet the plugin\trecords\tlost\tpackets equal\tbytes equal\tnamed rightly\tsplit adds up\tcut\t\n")
	for _, r := range append(slices.Clone(rows), total) {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", r.kind, r.calls, r.met, r.records, r.lost, r.packets, r.bytes,
			r.named, r.splits, r.cut)
	}
	_ = w.Flush()
	return b.String()
}
