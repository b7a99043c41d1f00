package flow

import "testing"

func TestAt(t *testing.T) {
	for _, c := range []struct {
		current, number uint32
		held            bool
	}{
		{0, 0, true},
		{0, 1, false},
		{3, 0, true},
		{4, 0, false},
		{4, 1, true},
		{4, 4, true},
		{4, 5, false},
		{1<<32 - 1, 1<<32 - 4, true},
		{1<<32 - 1, 1<<32 - 5, false},
		{2, 1<<32 - 1, false},
	} {
		r := Record{Exchange: c.current}
		e, ok := r.At(c.number)
		if ok != c.held || (e != nil) != c.held || ok && e != &r.Ring[c.number%Exchanges] {
			t.Errorf("current %d, number %d: held %v, want %v", c.current, c.number, ok, c.held)
		}
	}
}

func TestOldest(t *testing.T) {
	for current, want := range map[uint32]uint32{0: 0, 1: 0, 3: 0, 4: 1, 1<<32 - 1: 1<<32 - 4} {
		r := Record{Exchange: current}
		if got := r.Oldest(); got != want {
			t.Errorf("current %d: oldest %d, want %d", current, got, want)
		}
		if _, ok := r.At(r.Oldest()); !ok {
			t.Errorf("current %d: the oldest is not held", current)
		}
	}
}

// FuzzSince starts an exchange at any running figures and adds a span: the span comes out, over every wrap.
func FuzzSince(f *testing.F) {
	f.Add(uint64(0), uint32(0), uint32(0), uint32(0), uint32(1), uint32(100), uint32(40), uint32(100))
	f.Add(uint64(1<<63), uint32(1<<32-1), uint32(1<<32-1), uint32(1<<32-1), uint32(3), uint32(1<<31), uint32(120), uint32(7))
	f.Fuzz(func(t *testing.T, payload uint64, packets, headers, seq, addPackets, addPayload, addHeaders, length uint32) {
		for _, dir := range []int{RX, TX} {
			var r Record
			var e Exchange
			e.Payload[dir], e.Packets[dir], e.Headers[dir], e.Seq[dir] = payload, packets, headers, seq
			d := &r.Conn.Dir[dir]
			d.Payload, d.DataPackets = payload+uint64(addPayload), packets+addPackets
			d.DataHeaders, d.DataHigh = headers+addHeaders, seq+length
			want := Span{
				Packets: addPackets, Bytes: uint64(addPayload) + uint64(addHeaders), Payload: uint64(addPayload), Length: length,
			}
			if got := r.Since(&e, dir); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
	})
}

func TestRTT(t *testing.T) {
	for _, c := range []struct {
		trip RoundTrip
		us   uint32
		ok   bool
	}{
		{RoundTrip{}, 0, false},
		{RoundTrip{MinUS: 30}, 30, true},
		{RoundTrip{SmoothedUS8: 800, MinUS: 30}, 100, true},
		{RoundTrip{SmoothedUS8: 7, MinUS: 1}, 1, true},
	} {
		if us, ok := c.trip.RTT(); us != c.us || ok != c.ok {
			t.Errorf("%+v: got %d, %v", c.trip, us, ok)
		}
	}
}

// TestBegins: what a direction begins is the same whether its bytes are kept or not.
func TestBegins(t *testing.T) {
	for first, want := range map[string]Payload{"": PayloadNone, "GET / HTTP/1.1\r\n": PayloadHTTP1, "\x16\x03\x01": PayloadTLS, "nothing": PayloadOther} {
		var kept Direction
		kept.FirstLen = uint8(copy(kept.FirstPayload[:], first))
		hidden := Direction{FirstLen: kept.FirstLen}
		if first != "" {
			hidden.Known, hidden.FirstPayload[0] = KnownKind, uint8(want)
		}
		if kept.Begins() != want || hidden.Begins() != want || hidden.First() != nil && first != "" {
			t.Errorf("%q: kept %d, hidden %d, want %d; %q", first, kept.Begins(), hidden.Begins(), want, hidden.First())
		}
	}
}

func TestFirst(t *testing.T) {
	d := Direction{FirstPayload: [16]uint8([]byte("0123456789abcdef"))}
	for length, want := range map[uint8]string{0: "", 3: "012", 16: "0123456789abcdef", 255: "0123456789abcdef"} {
		d.FirstLen = length
		if got := string(d.First()); got != want {
			t.Errorf("length %d: got %q", length, got)
		}
	}
}
