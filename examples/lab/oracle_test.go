package lab

import (
	"math"
	"testing"
)

// counts are the rx and tx segments with payload of each exchange.
func counts(f *Flow) [][2]int {
	var all [][2]int
	for _, x := range f.Exchanges() {
		all = append(all, [2]int{len(x.RX), len(x.TX)})
	}
	return all
}

func TestExchanges(t *testing.T) {
	rx := func(seq uint32, payload int) frame { return frame{rx: true, seq: seq, payload: payload} }
	tx := func(seq uint32, payload int) frame { return frame{seq: seq, payload: payload} }
	ack := frame{rx: true, seq: 500}
	for _, c := range []struct {
		name   string
		frames []frame
		want   [][2]int
	}{
		{"nothing but an ACK", []frame{ack}, [][2]int{{0, 0}}},
		{"one", []frame{rx(0, 10), tx(0, 20)}, [][2]int{{0, 0}, {1, 1}}},
		{"two", []frame{rx(0, 10), tx(0, 20), rx(10, 10), tx(20, 20)}, [][2]int{{0, 0}, {1, 1}, {1, 1}}},
		{"request in parts", []frame{rx(0, 10), rx(10, 10), tx(0, 20), tx(20, 5)}, [][2]int{{0, 0}, {2, 2}}},
		{"unanswered", []frame{rx(0, 10), rx(10, 10), rx(20, 10)}, [][2]int{{0, 0}, {3, 0}}},
		{"server first", []frame{tx(0, 20), tx(20, 20), rx(0, 10), tx(40, 5), rx(10, 1)}, [][2]int{{0, 2}, {1, 1}, {1, 0}}},
		{"pipelining", []frame{rx(0, 30), tx(0, 20), tx(20, 20), tx(40, 20), rx(30, 9)}, [][2]int{{0, 0}, {1, 3}, {1, 0}}},
		{"retransmitted request never turns", []frame{rx(0, 10), tx(0, 20), rx(0, 10), rx(10, 10)}, [][2]int{{0, 0}, {2, 1}, {1, 0}}},
		{"retransmitted answer is no answer", []frame{rx(0, 10), tx(0, 20), rx(10, 10), tx(0, 20), rx(20, 10)}, [][2]int{{0, 0}, {1, 1}, {2, 1}}},
		{"partly old request turns", []frame{rx(0, 10), tx(0, 20), rx(5, 10)}, [][2]int{{0, 0}, {1, 1}, {1, 0}}},
		{"keep-alive never turns", []frame{rx(0, 10), tx(0, 20), rx(9, 1), rx(9, 0), rx(10, 10)}, [][2]int{{0, 0}, {2, 1}, {1, 0}}},
		{"keep-alive before anything", []frame{{rx: true, flags: FlagSYN, seq: 99}, rx(99, 1), rx(100, 5)}, [][2]int{{1, 0}, {1, 0}}},
		{"an ACK that overtakes its data", []frame{rx(0, 10), tx(0, 5), rx(20, 0), rx(10, 10), tx(5, 5)}, [][2]int{{0, 0}, {1, 1}, {1, 1}}},
		{"filled hole", []frame{rx(0, 10), rx(20, 10), tx(0, 5), rx(10, 10)}, [][2]int{{0, 0}, {3, 1}}},
		{"sequence wraps", []frame{rx(math.MaxUint32-4, 10), tx(0, 1), rx(5, 10), tx(1, 1), rx(5, 10)}, [][2]int{{0, 0}, {1, 1}, {2, 1}}},
		{"Fast Open", []frame{{rx: true, flags: FlagSYN, seq: 99, payload: 8}, {flags: FlagSYN | FlagACK, seq: 7}, tx(8, 5), rx(108, 5)}, [][2]int{{0, 0}, {1, 1}, {1, 0}}},
		{"new connection, lower numbers", []frame{rx(5000, 10), tx(5000, 10), {rx: true, flags: FlagSYN, seq: 9}, rx(10, 5)}, [][2]int{{0, 0}, {1, 1}, {1, 0}}},
		{"RST moves nothing", []frame{rx(0, 10), tx(0, 5), {rx: true, flags: FlagRST, seq: 9000}, rx(10, 5)}, [][2]int{{0, 0}, {1, 1}, {1, 0}}},
		{"FIN counts one", []frame{rx(0, 10), tx(0, 5), {rx: true, flags: FlagFIN | FlagACK, seq: 10}, rx(10, 1)}, [][2]int{{0, 0}, {2, 1}}},
		{"merged request", []frame{{rx: true, payload: 250, gso: 100}, tx(0, 5)}, [][2]int{{0, 0}, {3, 1}}},
		{"merged, the first segments old", []frame{rx(0, 150), tx(0, 5), {rx: true, payload: 400, gso: 100}}, [][2]int{{0, 0}, {2, 1}, {3, 0}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := flowOf(t, c.frames...)
			got := counts(f)
			if len(got) != len(c.want) {
				t.Fatalf("rx and tx segments %v, want %v", got, c.want)
			}
			for i, x := range f.Exchanges() {
				if got[i] != c.want[i] || x.Number != i {
					t.Errorf("exchange %d (number %d): rx and tx segments %v, want %v", i, x.Number, got[i], c.want[i])
				}
			}
		})
	}
}

// figuresFlow has figures that differ in every field.
func figuresFlow(t *testing.T) *Flow {
	t.Helper()
	return flowOf(t,
		frame{seq: 0, payload: 7, time: 5},
		frame{rx: true, seq: 0, payload: 100, time: 10},
		frame{rx: true, seq: 100, payload: 30, time: 60},
		frame{rx: true, seq: 130, payload: 250, gso: 100, time: 70},
		frame{seq: 7, ack: 380, time: 75},
		frame{seq: 7, payload: 1000, time: 90},
		frame{seq: 1007, payload: 10, time: 95},
		frame{rx: true, seq: 380, payload: 1, time: 500},
		frame{rx: true, seq: 381, payload: 3, time: 510},
	)
}

func TestFigures(t *testing.T) {
	f := figuresFlow(t)
	first := Figures{
		RXPackets: 5, RXBytes: 380 + 5*40, RXPayload: 380, TXPackets: 2, TXBytes: 1010 + 2*40, TXPayload: 1010,
		RXMin: 70, RXMax: 140, RXGap: 50, RXFirst: 10, RXLast: 70, TXFirst: 90, TXLast: 95,
	}
	both := Figures{
		RXPackets: 7, RXBytes: 384 + 7*40, RXPayload: 384, TXPackets: 2, TXBytes: 1010 + 2*40, TXPayload: 1010,
		RXMin: 41, RXMax: 140, RXGap: 50, RXFirst: 10, RXLast: 510, TXFirst: 90, TXLast: 95,
	}
	all := both
	all.TXPackets, all.TXBytes, all.TXPayload, all.TXFirst = 3, 1017+3*40, 1017, 5
	early := Figures{
		RXPackets: 2, RXBytes: 130 + 2*40, RXPayload: 130,
		RXMin: 70, RXMax: 140, RXGap: 50, RXFirst: 10, RXLast: 60,
	}
	for _, c := range []struct {
		name     string
		from, to int
		asOf     int64
		want     Figures
	}{
		{"one exchange", 1, 1, math.MaxInt64, first},
		{"two", 1, 2, math.MaxInt64, both},
		{"to the newest", 1, Newest, math.MaxInt64, both},
		{"with exchange 0", 0, 2, math.MaxInt64, all},
		{"in the middle of the request", 1, Newest, 69, early},
		{"at a packet's time", 1, Newest, 60, early},
		{"before everything", 0, Newest, 4, Figures{}},
	} {
		got, err := f.Between(c.from, c.to, c.asOf)
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v\nwant %+v", c.name, got, err, c.want)
		}
	}
	if got := f.Exchanges()[1].Figures; got != first {
		t.Errorf("exchange 1: %+v\nwant %+v", got, first)
	}
	for _, c := range [][2]int{{-1, 1}, {2, 1}, {0, 3}, {3, Newest}} {
		if got, err := f.Between(c[0], c[1], math.MaxInt64); err == nil {
			t.Errorf("exchanges %d..%d: %+v, want an error", c[0], c[1], got)
		}
	}
}

func TestFirstRX(t *testing.T) {
	f := figuresFlow(t)
	for _, c := range []struct {
		from, to, packets int
		want              uint64
		ok                bool
	}{
		{1, 1, 0, 0, true},
		{1, 1, 1, 140, true},
		{1, 1, 2, 210, true},
		{1, 1, 4, 490, true}, // in the middle of a merged packet
		{1, 1, 5, 580, true},
		{1, 1, 6, 0, false},
		{1, 2, 6, 621, true},
		{1, Newest, 7, 664, true},
		{2, Newest, 2, 84, true},
		{1, 2, 8, 0, false},
		{0, 0, 1, 0, false},
		{1, 1, -1, 0, false},
		{1, 9, 1, 0, false},
	} {
		got, err := f.FirstRX(c.from, c.to, c.packets)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("first %d of %d..%d: %d, %v; want %d, ok %v", c.packets, c.from, c.to, got, err, c.want, c.ok)
		}
	}
}

func TestTotals(t *testing.T) {
	f := figuresFlow(t)
	if want := (Totals{Packets: 7, Bytes: 384 + 7*40, Payload: 384, DataPackets: 7, Flags: FlagACK}); f.RX != want {
		t.Errorf("rx %+v, want %+v", f.RX, want)
	}
	if want := (Totals{Packets: 4, Bytes: 1017 + 4*40, Payload: 1017, DataPackets: 3, Flags: FlagACK}); f.TX != want {
		t.Errorf("tx %+v, want %+v", f.TX, want)
	}
	if len(f.Segments) != 9 {
		t.Errorf("%d packets, want 9", len(f.Segments))
	}
}

func TestHandshake(t *testing.T) {
	server := flowOf(t,
		frame{rx: true, flags: FlagSYN, seq: 9, time: 1}, frame{rx: true, flags: FlagSYN, seq: 9, time: 2},
		frame{flags: FlagSYN | FlagACK, seq: 20, ack: 10, time: 3}, frame{flags: FlagSYN | FlagACK, seq: 20, ack: 10, time: 4},
		frame{rx: true, seq: 10, ack: 20, time: 5}, frame{rx: true, seq: 10, ack: 21, time: 6},
		frame{rx: true, seq: 10, ack: 21, time: 7})
	if want := (Handshake{SYN: 1, LastSYN: 2, SYNACK: 3, ACK: 6, FromRemote: true, isn: 20}); server.Handshake != want {
		t.Errorf("server: %+v, want %+v", server.Handshake, want)
	}
	client := flowOf(t,
		frame{flags: FlagSYN, seq: 9, time: 1},
		frame{rx: true, flags: FlagSYN | FlagACK, seq: 20, ack: 10, time: 3},
		frame{seq: 10, ack: 21, payload: 5, time: 4})
	if want := (Handshake{SYN: 1, LastSYN: 1, SYNACK: 3, ACK: 4, isn: 20}); client.Handshake != want {
		t.Errorf("client: %+v, want %+v", client.Handshake, want)
	}
}

func TestLocal(t *testing.T) {
	// Neither packet says that it came in; the address does.
	packets := []Packet{frame{rx: true, payload: 3}.packet(), frame{payload: 4}.packet()}
	packets[0].RX = false
	key := testKey(false)
	f := Flows(packets, LocalAddrs(key.Local.Addr()))[key]
	if f == nil || f.RX.Payload != 3 || f.TX.Payload != 4 {
		t.Errorf("%+v, want 3 bytes in and 4 out", f)
	}
}
