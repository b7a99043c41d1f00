package lab

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// sharedDirection and sharedFlow are the part of X.flows.json that is compared.
type sharedDirection struct {
	Packets  uint64 `json:"packets"`
	Bytes    uint64 `json:"l3_bytes"`
	Payload  uint64 `json:"payload_bytes"`
	FlagsOr  string `json:"flags_or"`
	DataPkts uint64 `json:"data_packets"`
}

type sharedFlow struct {
	Proto string          `json:"proto"`
	AIP   netip.Addr      `json:"a_ip"`
	APort uint16          `json:"a_port"`
	BIP   netip.Addr      `json:"b_ip"`
	BPort uint16          `json:"b_port"`
	A2B   sharedDirection `json:"a2b"`
	B2A   sharedDirection `json:"b2a"`
	Agree bool            `json:"agree"`
	Exact struct {
		A2B     sharedNew      `json:"a2b"`
		B2A     sharedNew      `json:"b2a"`
		Runs    sharedRuns     `json:"data_runs_newdata"`
		Shake   sharedShake    `json:"handshake"`
		Strange map[string]int `json:"anomalies"`
	} `json:"exact"`
}

type sharedNew struct {
	New uint64 `json:"payload_new_bytes"`
}

type sharedRuns struct {
	A2B int `json:"a2b"`
	B2A int `json:"b2a"`
}

type sharedShake struct {
	SYN     string `json:"syn_ts"`
	LastSYN string `json:"syn_last_ts"`
	SYNACK  string `json:"synack_ts"`
	ACK     string `json:"ack_ts"`
}

func (f sharedFlow) key() FlowKey {
	return FlowKey{
		Local:  netip.AddrPortFrom(f.BIP.Unmap(), f.BPort),
		Remote: netip.AddrPortFrom(f.AIP.Unmap(), f.APort),
	}
}

// TestSharedCaptures compares the oracle with figures that TShark and a second parser agree on.
func TestSharedCaptures(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(sharedCaptures(t), "*.pcap*"))
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, path := range paths {
		if !strings.HasSuffix(path, ".pcap") && !strings.HasSuffix(path, ".pcapng") {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			packets, ethernet := readCapture(t, path)
			if !ethernet {
				t.Log("not Ethernet: not compared")
				return
			}
			compared += compareShared(t, packets, readShared(t, path))
		})
	}
	if compared < 41000 {
		t.Errorf("compared %d TCP flows, the folder has 41138", compared)
	}
}

// compareShared returns how many flows it compared.
func compareShared(t *testing.T, packets []Packet, want []sharedFlow) int {
	t.Helper()
	locals := make(map[FlowKey]bool, len(want))
	for _, w := range want {
		locals[w.key()] = true
	}
	flows := Flows(packets, func(dst, src netip.AddrPort) bool { return locals[FlowKey{Local: dst, Remote: src}] })
	if len(flows) != len(want) {
		t.Errorf("%d flows, want %d", len(flows), len(want))
	}
	compared := 0
	for _, w := range want {
		if !w.Agree || len(w.Exact.Strange) > 0 {
			continue
		}
		compared++
		f := flows[w.key()]
		if f == nil {
			t.Errorf("%v: no such flow", w.key())
			continue
		}
		compareTotals(t, f, "rx", f.RX, w.A2B)
		compareTotals(t, f, "tx", f.TX, w.B2A)
		compareExchanges(t, f, w)
		compareHandshake(t, f, w)
	}
	return compared
}

func compareTotals(t *testing.T, f *Flow, side string, got Totals, want sharedDirection) {
	t.Helper()
	flags, err := strconv.ParseUint(want.FlagsOr, 0, 16)
	if err != nil {
		t.Fatal(err)
	}
	w := Totals{Packets: want.Packets, Bytes: want.Bytes, Payload: want.Payload, DataPackets: want.DataPkts, Flags: uint16(flags)}
	if got != w {
		t.Errorf("%v %s: %+v, want %+v", f.Key, side, got, w)
	}
}

// compareExchanges holds the exchanges against the runs of new data, and their sums against the flow's
// payload.
func compareExchanges(t *testing.T, f *Flow, w sharedFlow) {
	t.Helper()
	list := f.Exchanges()
	answers := 0
	var sum Figures
	for _, x := range list {
		sum.join(x.Figures)
		if slices.ContainsFunc(x.TX, func(s Segment) bool { return s.New }) {
			answers++
		}
	}
	if got := (sharedRuns{A2B: len(list) - 1, B2A: answers}); got != w.Exact.Runs {
		t.Errorf("%v: runs of new data %+v, want %+v", f.Key, got, w.Exact.Runs)
	}
	got := [4]uint64{sum.RXPackets, sum.RXPayload, sum.TXPackets, sum.TXPayload}
	if want := [4]uint64{w.A2B.DataPkts, w.A2B.Payload, w.B2A.DataPkts, w.B2A.Payload}; got != want {
		t.Errorf("%v: exchanges sum up to %v, want %v", f.Key, got, want)
	}
}

func compareHandshake(t *testing.T, f *Flow, w sharedFlow) {
	t.Helper()
	h, want := f.Handshake, w.Exact.Shake
	for _, c := range []struct {
		name string
		got  int64
		want string
	}{{"SYN", h.SYN, want.SYN}, {"last SYN", h.LastSYN, want.LastSYN}, {"SYN-ACK", h.SYNACK, want.SYNACK}, {"ACK", h.ACK, want.ACK}} {
		if ns := nanoseconds(t, c.want); c.got != ns {
			t.Errorf("%v: %s at %d, want %d", f.Key, c.name, c.got, ns)
		}
	}
}

// nanoseconds reads "seconds.nanoseconds"; nothing is 0.
func nanoseconds(t *testing.T, text string) int64 {
	t.Helper()
	if text == "" {
		return 0
	}
	ns, err := strconv.ParseInt(strings.Replace(text, ".", "", 1), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

func readShared(t *testing.T, path string) []sharedFlow {
	t.Helper()
	file, err := os.Open(path + ".flows.json")
	var in io.Reader = file
	if errors.Is(err, os.ErrNotExist) {
		if file, err = os.Open(path + ".flows.json.gz"); err == nil {
			in, err = gzip.NewReader(file)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []sharedFlow
	if err := json.NewDecoder(in).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(f sharedFlow) bool { return f.Proto != "TCP" })
}

// readCapture reads a capture file of either kind and says whether it has Ethernet frames.
func readCapture(t *testing.T, path string) ([]Packet, bool) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var source interface {
		gopacket.PacketDataSource
		LinkType() layers.LinkType
	}
	// Some files with the old name hold the new format: both names are met with both contents.
	magic := make([]byte, 4)
	if _, err := file.ReadAt(magic, 0); err != nil {
		t.Fatal(err)
	}
	if string(magic) == "\n\r\r\n" {
		source, err = pcapgo.NewNgReader(file, pcapgo.DefaultNgReaderOptions)
	} else {
		source, err = pcapgo.NewReader(file)
	}
	if err != nil {
		t.Fatal(err)
	}
	if source.LinkType() != layers.LinkTypeEthernet {
		return nil, false
	}
	return readPackets(t, source), true
}

func readPackets(t *testing.T, source gopacket.PacketDataSource) []Packet {
	t.Helper()
	var packets []Packet
	for {
		data, info, err := source.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return packets
		}
		if err != nil {
			t.Fatalf("read packet %d: %v", len(packets)+1, err)
		}
		packets = append(packets, Packet{
			Time: info.Timestamp.UnixNano(), Wall: info.Timestamp.In(time.UTC), Data: data, Length: info.Length,
		})
	}
}
