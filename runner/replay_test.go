package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Ends of the connection in captures made up here.
const (
	clientPort = 50000
	serverPort = 80
)

// tcpPacket returns an IPv4 packet from the client or to it.
func tcpPacket(t *testing.T, fromClient bool, segment layers.TCP, payload string) []byte {
	t.Helper()
	client, server := []byte{192, 0, 2, 1}, []byte{192, 0, 2, 2}
	ip := layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: client, DstIP: server}
	segment.SrcPort, segment.DstPort = clientPort, serverPort
	if !fromClient {
		ip.SrcIP, ip.DstIP = server, client
		segment.SrcPort, segment.DstPort = serverPort, clientPort
	}
	segment.Window = 1000
	out := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(out, gopacket.SerializeOptions{FixLengths: true},
		&ip, &segment, gopacket.Payload(payload)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// connection is one that sends a request and gets an answer.
func connection(t *testing.T, isn uint32) [][]byte {
	t.Helper()
	return [][]byte{
		tcpPacket(t, true, layers.TCP{SYN: true, Seq: isn}, ""),
		tcpPacket(t, false, layers.TCP{SYN: true, ACK: true, Seq: 2 * isn, Ack: isn + 1}, ""),
		tcpPacket(t, true, layers.TCP{ACK: true, Seq: isn + 1, Ack: 2*isn + 1}, "request"),
		tcpPacket(t, false, layers.TCP{ACK: true, Seq: 2*isn + 1, Ack: isn + 8}, "answer"),
	}
}

// captureFile writes packets without Ethernet headers, a millisecond apart.
func captureFile(t *testing.T, packets ...[]byte) string {
	t.Helper()
	var out bytes.Buffer
	w := pcapgo.NewWriterNanos(&out)
	if err := w.WriteFileHeader(65536, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	for i, p := range packets {
		info := gopacket.CaptureInfo{Timestamp: time.UnixMilli(int64(i)), CaptureLength: len(p), Length: len(p)}
		if err := w.WritePacket(info, p); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "made-up.pcap")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// replayFile returns the flows and the closing object.
func replayFile(t *testing.T, file, local string) (flows []replayed, last closing, err error) {
	t.Helper()
	var out bytes.Buffer
	err = replay(&out, file, local, true)
	decoder := json.NewDecoder(&out)
	for decoder.More() {
		var line struct {
			replayed
			closing
		}
		if err := decoder.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if line.Reasons != nil {
			return flows, line.closing, err
		}
		flows = append(flows, line.replayed)
	}
	return flows, last, err
}

func TestReplayPrintsEveryGeneration(t *testing.T) {
	needRoot(t)
	packets := append(connection(t, 1000), connection(t, 2000)...)
	flows, last, err := replayFile(t, captureFile(t, packets...), "")
	if err != nil || len(flows) != 2 {
		t.Fatalf("%d flows, want 2: %v", len(flows), err)
	}
	for i, f := range flows {
		if f.Local != netip.MustParseAddr("192.0.2.2") || f.LocalPort != serverPort || f.RemotePort != clientPort {
			t.Errorf("generation %d: %v:%d <- %v:%d", i+1, f.Local, f.LocalPort, f.Remote, f.RemotePort)
		}
		if f.RX.PayloadBytes != 7 || f.TX.PayloadBytes != 6 || f.Exchanges != 1 || *f.Handshake.SYNToSYNACK != 1000 {
			t.Errorf("generation %d: %+v", i+1, f)
		}
	}
	recorded := last.Reasons["recorded-flow"] + last.Reasons["recorded-half-open"]
	if last.Frames != 8 || len(last.NotTaken) != 0 || recorded != 8 || len(last.Reasons) != 2 {
		t.Errorf("closing object %+v, want 8 recorded packets", last)
	}
}

// TestReplayLocal: the local side is the one that is named, whoever opened the connection.
func TestReplayLocal(t *testing.T) {
	needRoot(t)
	file := captureFile(t, connection(t, 1000)...)
	for local, port := range map[string]uint16{
		"192.0.2.1": clientPort, "192.0.2.2": serverPort, "192.0.2.1/32": clientPort, "192.0.2.2/31": serverPort,
	} {
		flows, _, err := replayFile(t, file, local)
		if err != nil || len(flows) != 1 || flows[0].LocalPort != port {
			t.Errorf("--local %s: %+v, %v, want port %d", local, flows, err, port)
		}
	}
}

// TestReplayOfACutFile prints what is whole, and then says where the file ends.
func TestReplayOfACutFile(t *testing.T) {
	needRoot(t)
	file := captureFile(t, connection(t, 1000)...)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	flows, last, err := replayFile(t, file, "")
	if err == nil || !strings.Contains(err.Error(), file+": packet 4: the file is cut") {
		t.Errorf("%v, want the file, the packet and that it is cut", err)
	}
	if len(flows) != 1 || last.Frames != 3 {
		t.Errorf("%d flows, %d packets, want 1 and 3", len(flows), last.Frames)
	}
}

func TestReplayRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pcap")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ file, local, want string }{
		"no file":      {"absent.pcap", "", "absent.pcap"},
		"no capture":   {"replay.go", "", "replay.go: not a capture file"},
		"an empty one": {empty, "", empty + ": no packets: the file is empty"},
		"no packets":   {captureFile(t), "", "made-up.pcap: no packets"},
		"a wrong net":  {captureFile(t, connection(t, 1)...), "10.0.0.0/33", `--local: "10.0.0.0/33" is neither an address nor a net`},
		"a wrong name": {captureFile(t, connection(t, 1)...), "lo", `--local: "lo" is neither an address nor a net`},
	} {
		err := replay(new(bytes.Buffer), c.file, c.local, false)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		skip(t, "needs root")
	}
}

// skip skips a test, where that is allowed.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("FIVETUPLE_NO_SKIP") == "1" {
		t.Fatal("a skip is a failure here: ", why)
	}
	t.Skip(why)
}

// TestReplayReadsWhatTSharkReads: the captured lengths in testdata are above those on the wire.
func TestReplayReadsWhatTSharkReads(t *testing.T) {
	needRoot(t)
	flows, last, err := replayFile(t, "../bpf/capture/testdata/caplen-above-len.pcap", "")
	if err != nil || len(flows) != 1 || last.Frames != 8 {
		t.Fatalf("%d flows, %+v: %v", len(flows), last, err)
	}
	if f := flows[0]; f.State != "closed" || f.RX.Packets != 4 || f.TX.Packets != 4 || f.Exchanges != 1 || f.RX.Bytes != 40+40+67+40 {
		t.Errorf("%+v", f)
	}
}

// TestReplayGoesOnBehindAnotherLink: packets that cannot be replayed are named, and all others count.
func TestReplayGoesOnBehindAnotherLink(t *testing.T) {
	needRoot(t)
	packets := connection(t, 1000)
	path := filepath.Join(t.TempDir(), "two-links.pcapng")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := pcapgo.NewNgWriter(f, layers.LinkTypeRaw)
	if err != nil {
		t.Fatal(err)
	}
	wireless, err := w.AddInterface(pcapgo.NgInterface{LinkType: layers.LinkTypeIEEE802_11})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range packets {
		for _, on := range []int{0, wireless} {
			info := gopacket.CaptureInfo{Timestamp: time.UnixMilli(int64(i)), CaptureLength: len(p), Length: len(p), InterfaceIndex: on}
			if err := w.WritePacket(info, p); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	flows, last, err := replayFile(t, path, "")
	const text = "packets 2 to 8: 4 skipped: link type that cannot be replayed: 105"
	if err == nil || err.Error() != text {
		t.Errorf("error %v, want %s", err, text)
	}
	if len(flows) != 1 || flows[0].RX.PayloadBytes != 7 || flows[0].TX.PayloadBytes != 6 || last.Frames != 4 || len(last.Skipped) != 1 || last.Skipped[0].Count != 4 {
		t.Errorf("%+v, %+v", flows, last)
	}
}
