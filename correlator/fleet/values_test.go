package fleet

import (
	"errors"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func someWho() Who {
	return Who{
		Head: newHead(), Instance: NewInstance([8]byte{0xab, 1}), Version: "v1.2.3", Started: begin, Offset: -1500, Window: 1_800_000,
		Routes: 1000, SharedVerdicts: VerdictsObserve,
	}
}

func TestWho(t *testing.T) {
	want := someWho()
	text, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	const golden = `{"v":1,"instance":"ab01000000000000","version":"v1.2.3","started":1764000000000,"offset_ms":-1500,"window_ms":1800000,` +
		`"routes":1000,"shared_verdicts":"observe"}`
	if d := cmp.Diff(golden, string(text)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	got, err := DecodeWho(text)
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := DecodeWho([]byte(strings.Replace(golden, `"v":1`, `"v":2,"new":true`, 1))); !errors.Is(err, ErrVersion) {
		t.Error(err)
	}
	for _, change := range [...][2]string{
		{"ab01", "ab0"},
		{"ab01", "xx01"},
		{"v1.2.3", "v1\\n"},
		{"v1.2.3", strings.Repeat("v", 65)},
		{"1764000000000", "-1"},
		{"-1500", "9007199254740992"},
		{"-1500", "1e400"},
		{"1800000", "0"},
		{"1800000", "86400001"},
		{`"routes":1000`, `"routes":-1`},
		{`"routes":1000`, `"routes":1048577`},
		{"observe", "block"},
		{`"}`, `"}}`},
		{`"}`, `","x":1}`},
		{`"}`, `"}` + strings.Repeat(" ", 1024)},
	} {
		text := strings.Replace(golden, change[0], change[1], 1)
		if got, err := DecodeWho([]byte(text)); !errors.Is(err, ErrDamaged) || got != (Who{}) {
			t.Errorf("%v: %+v, %v", change, got, err)
		}
	}
	want.Window = 0
	if _, err := want.Encode(); err == nil {
		t.Error("it was written though it cannot be read")
	}
}

func someEvents() []Event {
	return []Event{
		{
			Kind: KindCall, Route: "orders", Method: "POST", Score: 0.95, Signals: "retransmit port-scan",
			Address: netip.MustParseAddr("2001:db8::1"), RequestID: "f00d", Connection: 17, Requests: 3,
		},
		{Kind: KindSource, Score: 1, Address: netip.MustParseAddr(bad)},
		{Kind: KindBaselineShift, Route: "orders", Method: "GET"},
		{Kind: KindSameID},
		{Kind: KindStrangers, Peer: "gw-7"},
	}
}

func TestEvents(t *testing.T) {
	for _, want := range someEvents() {
		text, err := want.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeEvent(text)
		want.Head = newHead()
		if err != nil || got != want {
			t.Errorf("%+v, %v, of %s", got, err, text)
		}
	}
	const golden = `{"v":1,"kind":"call","route":"orders","method":"POST","score":0.95,"signals":"retransmit port-scan","address":"2001:db8::1",` +
		`"request_id":"f00d","connection":17,"connection_requests":3}`
	if got, err := someEvents()[0].Encode(); string(got) != golden {
		t.Errorf("%s, %v", got, err)
	}
	long := Event{Kind: KindCall, Route: "\xff" + strings.Repeat("r", 200), Method: strings.Repeat("m", 200), RequestID: strings.Repeat("i", 200), Score: 2.0 / 3}
	text, err := long.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeEvent(text)
	if err != nil || got.Route != "?"+long.Route[1:maxRoute] || got.Method != long.Method[:maxMethod] || got.RequestID != long.RequestID[:maxRequestID] || got.Score != 0.667 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDamagedEvents(t *testing.T) {
	for _, text := range []string{
		``, `{}`, `{"v":"x"}`, `{"v":1}`, `{"v":1,"kind":"Call"}`, `{"v":1,"kind":7}`, `{"v":1,"kind":"call","route":7}`,
		`{"v":1,"kind":"call","route":"` + strings.Repeat("r", 129) + `"}`, `{"v":1,"kind":"call","method":"` + strings.Repeat("m", 33) + `"}`,
		`{"v":1,"kind":"call","score":-0.1}`, `{"v":1,"kind":"call","score":1.1}`, `{"v":1,"kind":"call","score":"NaN"}`,
		`{"v":1,"kind":"call","signals":"half-open\u0000"}`, `{"v":1,"kind":"call","signals":"` + strings.Repeat("half-open ", 99) + `"}`,
		`{"v":1,"kind":"source","address":"localhost"}`, `{"v":1,"kind":"source","address":"0.0.0.0"}`, `{"v":1,"kind":"source","address":"fe80::1%lo"}`,
		`{"v":1,"kind":"strangers","peer":"a:b"}`, `{"v":1,"kind":"call","request_id":"` + strings.Repeat("i", 64) + `"}`,
		`{"v":1,"kind":"call","connection":-1}`, `{"v":1,"kind":"call","connection":18446744073709551616}`, `{"v":1,"kind":"call","unknown":""}`,
		`{"v":1,"kind":"call"} {}`, `{"v":1,"kind":"call","route":"` + strings.Repeat(" ", MaxEvent) + `"}`,
	} {
		if got, err := DecodeEvent([]byte(text)); !errors.Is(err, ErrDamaged) || got != (Event{}) {
			t.Errorf("%.80s: %+v, %v", text, got, err)
		}
	}
	if _, err := DecodeEvent([]byte(`{"v":2,"kind":"whatever"}`)); !errors.Is(err, ErrVersion) {
		t.Error(err)
	}
	if got, err := DecodeEvent([]byte(`{"v":1,"kind":"call","signals":"half-open telepathy"}`)); err != nil || got.Signals != "half-open telepathy" {
		t.Errorf("of a newer gateway: %+v, %v", got, err)
	}
	if _, err := (Event{Kind: "x"}).Encode(); err == nil {
		t.Error("it was written though it cannot be read")
	}
}

// TestEncode: nothing is written that could not be read.
func TestEncode(t *testing.T) {
	for _, x := range []any{struct{}{}, Head{}, Head{V: 2}, struct {
		A int
		Head
	}{}, struct {
		Head
		F func()
	}{Head: newHead()}} {
		if text, err := Encode(x); err == nil {
			t.Errorf("%s", text)
		}
	}
	text, err := Encode(newHead())
	if err != nil || string(text) != `{"v":1}` {
		t.Errorf("%s, %v", text, err)
	}
}

// FuzzValues: whatever comes is read and written to the same, or is an error; and does not get past a board's bounds.
func FuzzValues(f *testing.F) {
	who := someWho()
	text, _ := who.Encode()
	f.Add(text)
	list := flagsOf(1, 3)
	list.Gone = []netip.Addr{netip.MustParseAddr("2001:db8::1")}
	text, _ = Encode(&list)
	f.Add(text)
	f.Add([]byte(`{"v":1}`))
	f.Add([]byte(`{"v":2,"instance":"0011223344556677"}`))
	f.Add([]byte(`{"V":1,"v":1}`))
	board, err := NewBoard(Options{Gateway: "victim", SharedVerdicts: VerdictsEnforce, Quorum: 2}, NewInstance([8]byte{}))
	if err != nil {
		f.Fatal(err)
	}
	now := Moment{Kernel: 1e15, Redis: begin}
	f.Fuzz(func(t *testing.T, text []byte) {
		again(t, text, DecodeWho, func(w *Who) ([]byte, error) { return w.Encode() })
		again(t, text, DecodeFlags, func(x *Flags) ([]byte, error) { return Encode(x) })
		for _, isWhole := range []bool{false, true} {
			err := board.Hear("evil", text, isWhole, now)
			if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrVersion) {
				t.Errorf("%v", err)
			}
		}
		board.List(now.Kernel, func(address [16]byte, c Counted) { t.Errorf("one gateway made %v count: %+v", address, c) })
		for _, r := range board.Rows(now.Kernel) {
			if !(r.Score >= 0.5 && r.Score <= 1) || r.Until > now.Kernel+uint64(maxAhead) || len(r.By) != 1 {
				t.Errorf("%+v", r)
			}
		}
		if n := board.Counts(); n.Sources > maxFlags || n.Gateways > 1 {
			t.Errorf("%+v", n)
		}
	})
}

func again[T any](t *testing.T, text []byte, decode func([]byte) (T, error), encode func(*T) ([]byte, error)) {
	t.Helper()
	x, err := decode(text)
	if err != nil {
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrVersion) || !reflect.ValueOf(x).IsZero() {
			t.Errorf("%+v, %v", x, err)
		}
		return
	}
	out, err := encode(&x)
	if err != nil {
		t.Fatalf("%+v: %v", x, err)
	}
	y, err := decode(out)
	if d := cmp.Diff(x, y, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
}

// FuzzEvents: what is read is written to the same.
func FuzzEvents(f *testing.F) {
	for _, e := range someEvents() {
		text, _ := e.Encode()
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		again(t, text, DecodeEvent, func(e *Event) ([]byte, error) {
			e.Score = math.Round(e.Score*1000) / 1000
			return e.Encode()
		})
	})
}
