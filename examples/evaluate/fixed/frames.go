package fixed

import (
	"bytes"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"fivetuple/bpf"
	"fivetuple/correlator/flow"
)

// Frames feeds a meter with segments, as a fixed limit on the host would count them.
type Frames struct {
	*Meter[flow.Key]
	answered map[flow.Key]bool // tx payload came after the last request began
	second   uint64
}

// NewFrames returns one that has seen none.
func NewFrames() *Frames {
	return &Frames{Meter: NewMeter[flow.Key](), answered: map[flow.Key]bool{}}
}

// Segment is a TCP segment.
type Segment struct {
	At            uint64
	Key           flow.Key
	RX            bool
	SYN, ACK, RST bool
	FIN           bool
	Payload       []byte // what was captured of it
	Length        int    // bytes that it has
}

// Take takes the next segment.
func (f *Frames) Take(s *Segment) {
	if second := s.At / 1e9; second != f.second {
		f.second = second
		f.Tick(s.At)
	}
	switch {
	case s.RX && s.SYN && !s.ACK:
		f.SYN(s.At, s.Key)
	case s.RST, s.RX && s.ACK:
		f.Established(s.Key)
	}
	if s.RST || s.FIN {
		f.HeadDone(s.Key)
	}
	if s.Length == 0 {
		return
	}
	if !s.RX {
		f.answered[s.Key] = true
		f.HeadDone(s.Key)
		return
	}
	if answered, known := f.answered[s.Key]; !known || answered {
		f.answered[s.Key] = false
		f.Request(s.At, s.Key.Remote)
		f.HeadBegan(s.At, s.Key, s.Key.Remote)
	}
	if len(s.Payload) < s.Length || bytes.Contains(s.Payload, []byte("\r\n\r\n")) {
		f.HeadDone(s.Key)
	}
}

// TakePacket takes a packet of a capture file.
func (f *Frames) TakePacket(p *bpf.Packet) {
	if p.Key.Proto != flow.TCP {
		return
	}
	packet := gopacket.NewPacket(p.Data, layers.LinkTypeEthernet, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	tcp, ok := packet.TransportLayer().(*layers.TCP)
	if !ok {
		return
	}
	f.Take(&Segment{
		At: uint64(p.Time.UnixNano()), Key: p.Key, RX: p.RX,
		SYN: tcp.SYN, ACK: tcp.ACK, RST: tcp.RST, FIN: tcp.FIN,
		Payload: tcp.Payload, Length: len(tcp.Payload) + p.Length - len(p.Data),
	})
}
