package lab

import (
	"testing"
)

// TestSplitGSO wants the cut frames to decode to what Wire says, with a right IPv4 checksum.
func TestSplitGSO(t *testing.T) {
	extension := []byte{protoTCP, 0, 1, 4, 0, 0, 0, 0}
	for name, f := range map[string]frame{
		"IPv4":           {seq: 1<<32 - 1000, payload: 3001, gso: 1000, flags: FlagACK | FlagPSH | FlagFIN | FlagCWR | FlagAE},
		"IPv4 options":   {payload: 2500, gso: 500, ipOptions: 8, tcpOptions: 12, tags: []uint16{etherVLAN}},
		"IPv6":           {payload: 2000, gso: 1000, v6: true},
		"IPv6 extension": {payload: 2001, gso: 1000, v6: true, extensions: extension},
		"padding":        {payload: 20, gso: 7, padding: 4},
		"one":            {payload: 20, gso: 100},
		"no payload":     {gso: 100},
	} {
		t.Run(name, func(t *testing.T) {
			p := f.packet()
			whole, err := Decode(p)
			if err != nil {
				t.Fatal(err)
			}
			frames, err := splitGSO(p.Data, f.gso)
			if err != nil {
				t.Fatal(err)
			}
			wire := whole.Wire()
			if len(frames) != len(wire) {
				t.Fatalf("%d frames, want %d", len(frames), len(wire))
			}
			for i, cut := range frames {
				got, err := Decode(Packet{Data: cut, Length: len(cut)})
				want := wire[i]
				want.GSOSize = 0
				if err != nil || got != want {
					t.Errorf("frame %d: %+v, %v\nwant %+v", i, got, err, want)
				}
				checkChecksum(t, cut, len(frames))
			}
		})
	}
}

func checkChecksum(t *testing.T, frame []byte, frames int) {
	t.Helper()
	l, err := parseFrame(frame, len(frame))
	if err != nil {
		t.Fatal(err)
	}
	if ip := frame[l.ip:]; ip[0]>>4 == 4 && frames > 1 {
		// RFC 1071: with its own checksum in, a header sums up to 0.
		if sum := checksum(ip[:int(ip[0]&0x0f)*4]); sum != 0 {
			t.Errorf("IPv4 header checksum is off by %#x", sum)
		}
	}
}

func TestSplitRefuses(t *testing.T) {
	if frames, err := splitGSO(make([]byte, 20), 10); err == nil {
		t.Errorf("cut into %d frames, want an error", len(frames))
	}
}
