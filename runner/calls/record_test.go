package calls

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/correlator"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// start is the wall clock's time when the monotonic clock of the tests was 0.
func start() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

func options(t *testing.T) Options {
	t.Helper()
	return Options{
		File: filepath.Join(t.TempDir(), "deep", "calls.jsonl"), Sample: 1, Queue: 1024, Path: PathOff, IPv4Prefix: 32, IPv6Prefix: 128,
		RotateBytes: 1 << 20, RotateKeep: 100, RotateDays: 1,
		Monotonic: func() uint64 { return uint64(time.Hour) }, Now: func() time.Time { return start().Add(time.Hour) },
		Log: zerolog.New(zerolog.NewTestWriter(t)),
	}
}

func open(t *testing.T, o Options) *Log {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { finish(t, l) })
	return l
}

// finish closes a log that can write.
func finish(t *testing.T, l *Log) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if lost := l.Close(ctx); lost != 0 {
		t.Errorf("%d records are lost", lost)
	}
}

// full is a record that has everything.
func full() correlator.CallRecord {
	r := correlator.CallRecord{
		Match: correlator.MatchShared, Reason: correlator.ReasonEarlyResponse, Missed: 2, Partial: true, LengthUnknown: true, TLS: true,
		Handshake: true, Upgraded: true, Cut: true, First: 3, Last: 4,
		Request: correlator.Traffic{Span: flow.Span{Packets: 2, Bytes: 1104, Payload: 1000, Length: 900}, Retransmitted: 1, OutOfOrder: 2, ZeroWindow: 3},
		Response: correlator.Traffic{
			Span: flow.Span{Packets: 5, Bytes: 6260, Payload: 6000, Length: 5900}, Retransmitted: 4, OutOfOrder: 5, ZeroWindow: 6,
		},
		RTT: correlator.RTT{Now: 23120, Min: 21090, Handshake: 22000},
		At: correlator.Moments{
			FirstRequest: 1_000_000_000, LastRequest: 1_000_100_500, Plugin: 1_000_200_000, FirstResponse: 1_010_000_000,
			LastResponse: 1_011_000_000, Acknowledged: 1_034_000_001,
		},
		Split:     correlator.Split{Network: 23_000_001, Arriving: 100_500, Waiting: 99_500, Serving: 9_800_000, Leaving: 1_000_000, Total: 34_000_001},
		FlowStart: 500_000_123, Judged: true, Flagged: true,
	}
	r.Facts.Add(signal.Retransmit, 0.87654)
	r.Facts.Add(signal.RTT, 0.1)
	r.Route = correlator.Route{Route: "orders", Service: "shop", Consumer: "jack"}
	r.Method, r.Path = "POST", "/orders/17"
	r.RequestID = correlator.NewText("f00d")
	r.TraceID = [16]byte{0x4b, 0xf9, 15: 0x36}
	r.Peer, r.Gateway = netip.MustParseAddrPort("192.0.2.77:50000"), netip.MustParseAddrPort("198.51.100.9:9080")
	r.Connection, r.Requests, r.RequestLength = 17, 3, 180
	r.FlowID = flow.CommunityID(r.Key())
	return r
}

// unmatched is the record of a call of which nothing is known but what the gateway says.
func unmatched() correlator.CallRecord {
	r := correlator.CallRecord{Reason: correlator.ReasonUnknownFlow, At: correlator.Moments{Plugin: 2_000_000_000}}
	r.Route, r.Method = correlator.Route{Global: true}, "GET"
	r.Peer, r.Gateway = netip.MustParseAddrPort("[2001:db8::77]:50000"), netip.MustParseAddrPort("[2001:db8:1::9]:9080")
	r.Connection, r.Requests, r.RequestLength = 18, 1, 90
	r.FlowID = flow.CommunityID(r.Key())
	return r
}

// written returns the lines that a log makes of records.
func written(t *testing.T, o Options, records ...correlator.CallRecord) []string {
	t.Helper()
	l := open(t, o)
	for i := range records {
		l.Put(&records[i])
	}
	finish(t, l)
	text, err := os.ReadFile(o.File)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}
