package bpf

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"

	"fivetuple/correlator/flow"
)

func keepsNone(o *Options) { o.FirstPayload = FirstPayloadOff }

// kindOf returns what a kernel that keeps no byte has of a datagram in its record.
func (k *kernel) kindOf(payload string) flow.Direction {
	k.t.Helper()
	k.want(RecordedUDP, flow.RX, tuple4.udp(flow.RX, payload))
	d := k.conn(k.UDP, tuple4.key(flow.UDP)).Dir[flow.RX]
	must(k.t, k.UDP.Delete(tuple4.key(flow.UDP)))
	return d
}

// wantKind: the record has the kind, as Classify finds it, and no byte.
func wantKind(t *testing.T, d flow.Direction, payload string) {
	t.Helper()
	first := payload[:min(len(payload), 16)]
	want := flow.Direction{Known: flow.KnownKind, FirstLen: uint8(len(first)), FirstPayload: [16]byte{uint8(flow.Classify([]byte(first)))}}
	got := flow.Direction{Known: d.Known & flow.KnownKind, FirstLen: d.FirstLen, FirstPayload: d.FirstPayload}
	if got != want || d.Begins() != flow.Classify([]byte(first)) || d.First() != nil {
		t.Errorf("%q: got length %d, % x, want %d, % x", payload, got.FirstLen, got.FirstPayload, want.FirstLen, want.FirstPayload)
	}
}

// beginnings are payloads of every kind, and what almost is one.
func beginnings() []string {
	return []string{
		"GET / HTTP/1.1\r\n", "GET ", "\r\nPOST /x HTTP/", "M-SEARCH * HTTP/", "PRI * HTTP/1.1\r\n", "VERYLONGMETHODNA", "VERYLONGMETHODN", "\r\n\r\n\r\n\r\nGET / HTTP/",
		"PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI * HTTP/2.0\r", "\x16\x03\x01\x02\x00\x01", "\x16\x03\x03", "\x16\x03\x04", "\x16\x03\x05", "\x16\x03",
		"PROXY TCP4 192.0", "PROXY ", "PROXY", "\r\n\r\n\x00\r\nQUIT\n\x21\x11", "\r\n\r\n\x00\r\nQUIT\n", "\r\n\r\n\x00\r\nQUIT",
		"GET", "OPTIONS", "GETAGAIN", "get", "G", "\r\n\r\n", "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n", " GET / HTTP/1.1", "G(T / HTTP/1.1\r\n", "\r\n /", "SSH-2.0-OpenSSH_", "SSH-2.0-x\r\n",
		"HTTP/1.1 200 OK\r", "HTTP/1.1 101", "HTTP/1.1 101 Switching", "HTTP/1.1 10", "\x16\x02\x00", "\x17\x03\x03", "\x00\x00\x12\x04\x00", "!#$%&'*+-.^_`|~9 ", "a\x7f ", "a\x80 ", "\xff",
	}
}

// TestFirstPayloadOff: the kernel program finds the kinds that Classify finds, and no byte of a payload is in a record.
func TestFirstPayloadOff(t *testing.T) {
	k := newKernel(t, keepsNone)
	for _, payload := range beginnings() {
		wantKind(t, k.kindOf(payload), payload)
	}
	for b := range 256 { // every byte in a method, and as the space behind it
		for _, payload := range []string{"GE" + string([]byte{byte(b)}) + "T / HTTP/1.1\r\n", "GET" + string([]byte{byte(b)}), string([]byte{byte(b)}) + "GET "} {
			wantKind(t, k.kindOf(payload), payload)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		payload := spoiled(r)
		wantKind(t, k.kindOf(payload), payload)
	}
}

// spoiled returns the beginning of a payload with some bytes changed, cut at a random place, or the bytes of a request line in random order.
func spoiled(r *rand.Rand) string {
	all := beginnings()
	b := []byte(all[r.IntN(len(all))])
	if r.IntN(3) == 0 {
		const alphabet = "\r\n  AZGETaz09/(~\x00\x16\x03\x80"
		b = make([]byte, 1+r.IntN(18))
		for i := range b {
			b[i] = alphabet[r.IntN(len(alphabet))]
		}
	}
	for range r.IntN(3) {
		b[r.IntN(len(b))] = byte(r.Uint32())
	}
	return string(b[:1+r.IntN(len(b))])
}

// TestFirstPayloadOffOverTCP: both directions, and a record that an agent which kept the bytes has begun: the next segment
// of its direction takes them out.
func TestFirstPayloadOffOverTCP(t *testing.T) {
	inNamespace(t)
	pins := pinFolder(t, true)
	a := startAgent(t, agentOptions(pins, onExitKeep))
	server := echo(t, "127.0.0.1:0")
	old, oldKey := dial(t, server)
	call(t, old, "GET /secret HTTP/1.1\r\n\r\n")
	reader := newTestReader(t, pins)
	before := lookUp(t, reader, oldKey)
	if got := string(before.Conn.Dir[flow.RX].First()); got != "GET /secret HTTP" {
		t.Fatalf("the agent that keeps the bytes has %q", got)
	}
	must(t, a.Close())

	startAgent(t, agentOptions(pins, keepsNone))
	call(t, old, "GET /secret HTTP/1.1\r\n\r\n")
	fresh, freshKey := dial(t, server)
	call(t, fresh, "\x16\x03\x01secret\r\n\r\n")
	for key, want := range map[flow.Key]flow.Payload{oldKey: flow.PayloadHTTP1, freshKey: flow.PayloadTLS} {
		r := lookUp(t, reader, key)
		for dir := range r.Conn.Dir {
			if d := &r.Conn.Dir[dir]; d.Begins() != want || d.First() != nil || bytes.Contains(d.FirstPayload[:], []byte("s")) {
				t.Errorf("%v, direction %d: begins %d, want %d; % x", key, dir, d.Begins(), want, d.FirstPayload)
			}
		}
	}
	wantNowhere(t, pins, "secret")
}

// wantNowhere: no pinned table has a text in any of its entries, whoever reads it and how.
func wantNowhere(t *testing.T, pins, text string) {
	t.Helper()
	dir := tablesDir(t, pins)
	read := 0
	for _, name := range []string{fivetupleMapFlows, fivetupleMapHalfOpen, fivetupleMapUdp} {
		m, err := ebpf.LoadPinnedMap(filepath.Join(dir, name), &ebpf.LoadPinOptions{ReadOnly: true})
		must(t, err)
		var key, value []byte
		for entries := m.Iterate(); entries.Next(&key, &value); read++ {
			if bytes.Contains(value, []byte(text)) {
				t.Errorf("an entry of %s has %q", name, text)
			}
		}
		must(t, m.Close())
	}
	if read == 0 {
		t.Error("no entry was read")
	}
}
