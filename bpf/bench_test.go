package bpf

import (
	"testing"

	"github.com/cilium/ebpf"

	"fivetuple/correlator/flow"
)

// emptyProgram does nothing but pass the packet on: what a run costs without ours.
func emptyProgram(b *testing.B) *ebpf.Program {
	b.Helper()
	spec, err := loadFivetuple()
	must(b, err)
	var loaded struct {
		Empty *ebpf.Program `ebpf:"ft_empty"`
	}
	must(b, spec.LoadAndAssign(&loaded, nil))
	b.Cleanup(func() { _ = loaded.Empty.Close() })
	return loaded.Empty
}

// perPacket returns the nanoseconds of a run, by the kernel's own measure of b.N of them.
func perPacket(b *testing.B, p *ebpf.Program, frame []byte) float64 {
	b.Helper()
	_, each, err := p.Benchmark(frame, max(b.N, 1000), nil)
	must(b, err)
	return float64(each.Nanoseconds())
}

// BenchmarkPacket reports what a packet costs in the program (ns/packet), and in one that does nothing
// (empty-ns/packet). The packet is the same one every time: the connection is open, the sequence number old.
func BenchmarkPacket(b *testing.B) {
	data := segment{flags: psh | ack, seq: peerISN + 1, ack: hostISN + 1, payload: text(200)}
	reply := segment{flags: psh | ack, seq: hostISN + 1, ack: peerISN + 1, payload: text(200)}
	pure := segment{flags: ack, seq: peerISN + 1, ack: hostISN + 1}
	for _, c := range []struct {
		name  string
		tuple tuple
		dir   int
		frame []byte
		open  bool
	}{
		{"tcp4-rx-200", tuple4, flow.RX, tuple4.tcp(flow.RX, data), true},
		{"tcp4-tx-200", tuple4, flow.TX, tuple4.tcp(flow.TX, reply), true},
		{"tcp6-rx-200", tuple6, flow.RX, tuple6.tcp(flow.RX, data), true},
		{"ack-rx", tuple4, flow.RX, tuple4.tcp(flow.RX, pure), true},
		{"syn-rx", tuple4, flow.RX, tuple4.tcp(flow.RX, segment{flags: syn, seq: peerISN, options: synOptionCases()[1].options}), false},
		{"udp-rx-200", tuple4, flow.RX, tuple4.udp(flow.RX, text(200)), false},
		{"no-connection", tuple4, flow.RX, tuple4.tcp(flow.RX, data), false},
	} {
		b.Run(c.name, func(b *testing.B) {
			k := &talk{newKernel(b), c.tuple}
			if c.open {
				k.open(peerISN, hostISN)
			}
			program := k.Ingress
			if c.dir == flow.TX {
				program = k.Egress
			}
			b.ReportMetric(perPacket(b, emptyProgram(b), c.frame), "empty-ns/packet")
			b.ReportMetric(perPacket(b, program, c.frame), "ns/packet")
			b.ReportMetric(0, "ns/op") // of the call into the kernel: says nothing
		})
	}
}

func BenchmarkLookup(b *testing.B) {
	p := newPublished(b)
	p.open(peerISN, hostISN)
	r := newTestReader(b, p.pins)
	key := p.tuple.key(flow.TCP)
	var record flow.Record
	b.ReportAllocs()
	for b.Loop() {
		must(b, r.Lookup(key, &record))
	}
}

func BenchmarkLookupMiss(b *testing.B) {
	p := newPublished(b)
	r := newTestReader(b, p.pins)
	key := p.tuple.key(flow.TCP)
	b.ReportAllocs()
	var record flow.Record
	for b.Loop() {
		if r.Lookup(key, &record) == nil {
			b.Fatal("found")
		}
	}
}
