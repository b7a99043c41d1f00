package bpf

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"fivetuple/correlator/flow"
)

// benchPrograms are the object of testdata/bench.bpf.c: ours and the reference, each of which makes its packet the next one.
type benchPrograms struct {
	*tables                 // ours, as they are attached
	Rx        *ebpf.Program `ebpf:"bench_ingress"`
	Tx        *ebpf.Program `ebpf:"bench_egress"`
	Reference *ebpf.Program `ebpf:"bench_reference"`
	Empty     *ebpf.Program `ebpf:"ft_empty"`
}

const benchFlows = 65_536

func newBench(b *testing.B, spread bool) *benchPrograms {
	b.Helper()
	return newBenchLoaded(b, spread, func(f func()) { f() })
}

func newBenchLoaded(b *testing.B, spread bool, load func(func())) *benchPrograms {
	b.Helper()
	needRoot(b)
	spec, err := ebpf.LoadCollectionSpec("testdata/bench.o")
	must(b, err)
	spec.Maps[fivetupleMapFlows].MaxEntries = 2 * benchFlows
	must(b, spec.Variables[fivetupleVarMidstreamAny].Set(true))
	must(b, spec.Variables["spread"].Set(spread))
	must(b, spec.Variables[fivetupleVarStoresInOrder].Set(runtime.GOARCH == "amd64"))
	p := &benchPrograms{tables: new(tables)}
	var loaded *ebpf.Collection
	load(func() { loaded, err = ebpf.NewCollection(spec) })
	if err != nil {
		b.Skip("this kernel's verifier refuses the programs: ", err)
	}
	b.Cleanup(loaded.Close)
	must(b, loaded.Assign(p.tables))
	p.Rx, p.Tx = loaded.Programs["bench_ingress"], loaded.Programs["bench_egress"]
	p.Reference, p.Empty = loaded.Programs["bench_reference"], loaded.Programs["ft_empty"]
	return p
}

// timed is a program with a packet to run it on.
type timed struct {
	name    string
	program *ebpf.Program
	frame   []byte
}

// compare reports the nanoseconds of a run by the kernel's own measure: of the programs in turn, the least of seven.
func compare(b *testing.B, runs ...timed) {
	b.Helper()
	const rounds, repeat = 7, 4 * benchFlows
	least := make([]float64, len(runs))
	for range rounds {
		for i, r := range runs {
			_, each, err := r.program.Benchmark(r.frame, repeat, nil)
			must(b, err)
			if ns := float64(each.Nanoseconds()); least[i] == 0 || ns < least[i] {
				least[i] = ns
			}
		}
	}
	for i, r := range runs {
		b.ReportMetric(least[i], r.name+"-ns/packet")
	}
	b.ReportMetric(least[0]/least[1], "ratio")
	b.ReportMetric(0, "ns/op") // of the call into the kernel: says nothing
}

// BenchmarkPacket compares what a packet costs with a reference program that only counts (testdata/bench.bpf.c). The
// connection is open; each run is its next segment.
func BenchmarkPacket(b *testing.B) {
	data := segment{flags: psh | ack, seq: peerISN + 1, ack: hostISN + 1, payload: text(200)}
	reply := segment{flags: psh | ack, seq: hostISN + 1, ack: peerISN + 1, payload: text(200)}
	reference := tuple4.tcp(flow.RX, data)
	for _, c := range []struct {
		name   string
		spread bool
		run    func(*benchPrograms) (*ebpf.Program, []byte)
	}{
		{"tcp4-rx-200", false, func(p *benchPrograms) (*ebpf.Program, []byte) { return p.Rx, tuple4.tcp(flow.RX, data) }},
		{"tcp4-tx-200", false, func(p *benchPrograms) (*ebpf.Program, []byte) { return p.Tx, tuple4.tcp(flow.TX, reply) }},
		{"tcp4-rx-200-of-65536-flows", true, func(p *benchPrograms) (*ebpf.Program, []byte) { return p.Rx, tuple4.tcp(flow.RX, data) }},
		{"tcp4-rx-200-again", false, func(p *benchPrograms) (*ebpf.Program, []byte) { return p.Ingress, tuple4.tcp(flow.RX, data) }},
		{"tcp6-rx-200-again", false, func(p *benchPrograms) (*ebpf.Program, []byte) { return p.Ingress, tuple6.tcp(flow.RX, data) }},
		{"ack-rx", false, func(p *benchPrograms) (*ebpf.Program, []byte) {
			return p.Ingress, tuple4.tcp(flow.RX, segment{flags: ack, seq: peerISN + 1, ack: hostISN + 1})
		}},
		{"syn-rx-again", false, func(p *benchPrograms) (*ebpf.Program, []byte) {
			return p.Ingress, tuple4.tcp(flow.RX, segment{flags: syn, seq: peerISN, options: synOptionCases()[1].options})
		}},
		{"udp4-rx-200", false, func(p *benchPrograms) (*ebpf.Program, []byte) { return p.Ingress, tuple4.udp(flow.RX, text(200)) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			eachPrivilege(b, func(b *testing.B, load func(func())) {
				b.Helper()
				p := newBenchLoaded(b, c.spread, load)
				program, frame := c.run(p)
				compare(b, timed{"our", program, frame}, timed{"reference", p.Reference, reference}, timed{"empty", p.Empty, frame})
			})
		})
	}
}

// BenchmarkNewFlow reports what the first segment of a flow costs: each run is another peer's, the table has room.
func BenchmarkNewFlow(b *testing.B) {
	p := newBench(b, true)
	frame := tuple4.tcp(flow.RX, segment{flags: psh | ack, seq: 1, ack: 1, payload: text(200)})
	_, each, err := p.Rx.Benchmark(frame, benchFlows, nil)
	must(b, err)
	_, reference, err := p.Reference.Benchmark(frame, benchFlows, nil)
	must(b, err)
	b.ReportMetric(float64(each.Nanoseconds()), "our-ns/packet")
	b.ReportMetric(float64(reference.Nanoseconds()), "reference-ns/packet")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkLookup reports what a look-up costs that finds a record, and one that finds none, by each way, beside the least
// that a system call costs: rounds of all in turn, medians.
func BenchmarkLookup(b *testing.B) {
	const rounds, each = 7, 20_000
	p := newPublished(b)
	p.open(peerISN, hostISN)
	program := newTestReader(b, p.pins)
	wantProgram(b, program, true)
	must(b, os.Remove(p.readPin()))
	copies := newTestReader(b, p.pins)
	wantProgram(b, copies, false)
	key := p.tuple.key(flow.TCP)
	missing := key
	missing.RemotePort++
	var record flow.Record
	ways := []struct {
		name string
		do   func() error
	}{
		{"program", func() error { return program.Lookup(key, &record) }},
		{"program-miss", func() error { return ignoreNotFound(program.Lookup(missing, &record)) }},
		{"two-copies", func() error { return copies.Lookup(key, &record) }},
		{"two-copies-miss", func() error { return ignoreNotFound(copies.Lookup(missing, &record)) }},
		{"getppid", func() error { unix.Getppid(); return nil }},
	}
	took := make([][]float64, len(ways))
	for b.Loop() {
		for range rounds {
			for i, w := range ways {
				start := time.Now()
				for range each {
					must(b, w.do())
				}
				took[i] = append(took[i], float64(time.Since(start).Nanoseconds())/each)
			}
		}
	}
	for i, w := range ways {
		slices.Sort(took[i])
		b.ReportMetric(took[i][len(took[i])/2], w.name+"-ns")
	}
	b.ReportMetric(0, "ns/op") // of all rounds: says nothing
}

func ignoreNotFound(err error) error {
	if errors.Is(err, flow.ErrNotFound) {
		return nil
	}
	return err
}
