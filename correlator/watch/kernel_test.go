package watch_test

import (
	"encoding/binary"
	"net/netip"
	"os"
	"testing"
	"time"

	"fivetuple/bpf"
	"fivetuple/correlator/flow"
	"fivetuple/correlator/watch"
)

// BenchmarkTickOfTheKernel is BenchmarkTick with tables of the kernel's: 100,000 connections of 16,384 addresses, each of
// which calls again before each tick, as far as time allows.
func BenchmarkTickOfTheKernel(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("needs root")
	}
	const flows, peers = 100_000, 16_384
	replay, err := bpf.NewReplay(flows, 1024)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = replay.Close() }()
	now := time.Unix(1000, 0)
	// Without handshakes: a replay does not sweep, and a running agent would have removed what they leave half-open.
	for i := range flows {
		now = now.Add(10 * time.Microsecond)
		for _, s := range []segment{
			{rx: true, flags: 0x18, seq: 101, ack: 501, payload: request},
			{flags: 0x18, seq: 501, ack: 117, payload: "HTTP/1.1 200 OK\r\n"},
		} {
			s.feed(b, replay, i, i%peers, now)
		}
	}
	w, err := watch.New(options)
	if err != nil {
		b.Fatal(err)
	}
	scanner := replay.Scanner()
	tick := uint64(now.UnixNano()) + uint64(time.Second)
	read := 0
	before := processorTime(b)
	for b.Loop() {
		tick += uint64(time.Second)
		report, err := w.Tick(tick, scanner)
		if err != nil {
			b.Fatal(err)
		}
		read += report.Flows
	}
	b.ReportMetric(100*(processorTime(b)-before).Seconds()/float64(b.N), "%core")
	b.ReportMetric(float64(read)/float64(b.N), "flows/op")
}

// segment is one of a connection's.
type segment struct {
	rx       bool
	flags    byte
	seq, ack uint32
	payload  string
}

func (s *segment) feed(tb testing.TB, to *bpf.Replay, n, peer int, at time.Time) {
	tb.Helper()
	remote, local := netip.AddrFrom4([4]byte{10, byte(peer >> 16), byte(peer >> 8), byte(peer)}), netip.AddrFrom4([4]byte{10, 255, 0, 1})
	from, into := netip.AddrPortFrom(remote, uint16(1024+n/4)), netip.AddrPortFrom(local, 443)
	key := flow.NewKey(flow.TCP, into, from)
	if !s.rx {
		from, into = into, from
	}
	frame := make([]byte, 54, 54+len(s.payload))
	frame[12], frame[13] = 0x08, 0x00
	ip, tcp := frame[14:34], frame[34:54]
	ip[0], ip[8], ip[9] = 0x45, 64, flow.TCP
	binary.BigEndian.PutUint16(ip[2:], uint16(40+len(s.payload)))
	copy(ip[12:], from.Addr().AsSlice())
	copy(ip[16:], into.Addr().AsSlice())
	binary.BigEndian.PutUint16(tcp, from.Port())
	binary.BigEndian.PutUint16(tcp[2:], into.Port())
	binary.BigEndian.PutUint32(tcp[4:], s.seq)
	binary.BigEndian.PutUint32(tcp[8:], s.ack)
	tcp[12], tcp[13], tcp[14] = 0x50, s.flags, 0xff
	frame = append(frame, s.payload...)
	if err := to.Packet(bpf.Packet{Data: frame, Length: len(frame), RX: s.rx, Time: at, Key: key}); err != nil {
		tb.Fatal(err)
	}
}
