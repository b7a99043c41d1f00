package captures_test

import (
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"fivetuple/conf"
	"fivetuple/examples/evaluate/captures"
	"fivetuple/examples/evaluate/outcome"
)

// script writes a capture.
type script struct {
	t   *testing.T
	out *pcapgo.Writer
	now time.Time
}

func newScript(t *testing.T, path string) *script {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	s := &script{t: t, out: pcapgo.NewWriter(f), now: time.Unix(1_700_000_000, 0)}
	if err := s.out.WriteFileHeader(65536, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	return s
}

// send writes a segment of a peer, or with toPeer one of the gateway, some time after the one before.
func (s *script) send(after time.Duration, peer uint32, port uint16, toPeer bool, tcp layers.TCP, payload string) {
	s.t.Helper()
	s.now = s.now.Add(after)
	remote := net.IP(binary.BigEndian.AppendUint32(nil, peer))
	ip := layers.IPv4{Version: 4, TTL: 60, Protocol: layers.IPProtocolTCP, SrcIP: remote, DstIP: net.IP{192, 0, 2, 1}}
	tcp.SrcPort, tcp.DstPort = layers.TCPPort(port), 80
	if toPeer {
		ip.SrcIP, ip.DstIP = ip.DstIP, ip.SrcIP
		tcp.SrcPort, tcp.DstPort = tcp.DstPort, tcp.SrcPort
	}
	tcp.Window = 64240
	ethernet := layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4}
	b := gopacket.NewSerializeBuffer()
	_ = tcp.SetNetworkLayerForChecksum(&ip)
	err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, &ethernet, &ip, &tcp, gopacket.Payload(payload))
	if err == nil {
		err = s.out.WritePacket(gopacket.CaptureInfo{Timestamp: s.now, CaptureLength: len(b.Bytes()), Length: len(b.Bytes())}, b.Bytes())
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

const host = 10<<24 | 1 // of the first peer

// flood is SYNs of many addresses that nobody completes.
func flood(s *script) {
	for i := range 6000 {
		peer, port := uint32(host+i%3000), uint16(1024+i%60000)
		s.send(time.Millisecond, peer, port, false, layers.TCP{SYN: true, Seq: 7}, "")
		s.send(0, peer, port, true, layers.TCP{SYN: true, ACK: true, Seq: 9, Ack: 8}, "")
	}
}

// reflection is SYN-ACKs of servers that were asked in the victim's name, which answers some of them.
func reflection(s *script) {
	for i := range 6000 {
		peer, port := uint32(host+i%200), uint16(1024+i%60000)
		s.send(time.Millisecond, peer, port, false, layers.TCP{SYN: true, ACK: true, Seq: 7, Ack: 9}, "")
		if i%10 == 0 {
			s.send(0, peer, port, true, layers.TCP{RST: true, Seq: 9}, "")
		}
	}
}

// calm is as many connections, in as short a time, each of which makes a call; some repeat their SYN first.
func calm(s *script) {
	for i := range 1500 {
		peer, port := uint32(host+i), uint16(1024+i)
		if i%50 == 0 {
			s.send(time.Microsecond, peer, port, false, layers.TCP{SYN: true, Seq: 7}, "")
		}
		s.send(2*time.Millisecond, peer, port, false, layers.TCP{SYN: true, Seq: 7}, "")
		s.send(0, peer, port, true, layers.TCP{SYN: true, ACK: true, Seq: 9, Ack: 8}, "")
		s.send(time.Millisecond, peer, port, false, layers.TCP{ACK: true, Seq: 8, Ack: 10}, "")
		s.send(0, peer, port, false, layers.TCP{ACK: true, PSH: true, Seq: 8, Ack: 10}, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		s.send(time.Millisecond, peer, port, true, layers.TCP{ACK: true, PSH: true, Seq: 10, Ack: 35}, "HTTP/1.1 204 No Content\r\n\r\n")
		s.send(0, peer, port, false, layers.TCP{ACK: true, FIN: true, Seq: 35, Ack: 37}, "")
	}
}

// TestEvaluate: an attack that nobody has seen before is found, and what differs from it only in being honest is not flagged.
func TestEvaluate(t *testing.T) {
	if os.Getuid() != 0 {
		if os.Getenv("FIVETUPLE_NO_SKIP") == "1" {
			t.Fatal("must not be skipped here: wants root")
		}
		t.Skip("wants root")
	}
	folder := t.TempDir()
	flood(newScript(t, filepath.Join(folder, "flood.pcap")))
	reflection(newScript(t, filepath.Join(folder, "reflection.pcap")))
	calm(newScript(t, filepath.Join(folder, "calm.pcap")))
	manifest := "file\ttags\nflood.pcap\tattack,syn-flood\nreflection.pcap\tattack,reflection\ncalm.pcap\thttp1\n"
	if err := os.WriteFile(filepath.Join(folder, captures.ManifestName), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := captures.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	var r outcome.Report
	for _, c := range all {
		if err := c.Evaluate(conf.Default().Watch, &r, t.Output()); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.Attacks) != 2 || len(r.Benign) != 1 {
		t.Fatalf("%d attacks, %d of ordinary traffic", len(r.Attacks), len(r.Benign))
	}
	if a := &r.Attacks[0]; !a.Found || a.Seconds > 3 || a.Short || a.Sources != 3000 || !a.FirstFixed().Found {
		t.Errorf("flood: %+v", *a)
	}
	if a := &r.Attacks[1]; !a.Found || a.Seconds > 3 || a.Sources != 200 || !slices.ContainsFunc(a.Signals, func(s string) bool { return strings.Contains(s, "reflection") }) {
		t.Errorf("reflection: %+v", *a)
	}
	if b := &r.Benign[0]; b.Flags != 0 || b.Sources != 1500 {
		t.Errorf("calm: %+v", *b)
	}
}
