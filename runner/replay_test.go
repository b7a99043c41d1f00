package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// oracleFlow is a flow as an independent reading of a capture has it: X.flows.json beside the capture.
type oracleFlow struct {
	Proto   string     `json:"proto"`
	A       netip.Addr `json:"a_ip"` // the initiator
	APort   uint16     `json:"a_port"`
	B       netip.Addr `json:"b_ip"`
	BPort   uint16     `json:"b_port"`
	AToB    oracleSide `json:"a2b"`
	BToA    oracleSide `json:"b2a"`
	Defined struct {
		AToB      oracleSequence `json:"a2b"`
		BToA      oracleSequence `json:"b2a"`
		Exchanges struct {
			AToB uint32 `json:"a2b"`
		} `json:"data_runs_newdata"`
		Handshake replayedTimes `json:"handshake"`
	} `json:"exact"`
}

type oracleSide struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"l3_bytes"`
	Payload uint64 `json:"payload_bytes"`
	Flags   string `json:"flags_or"`
	First   string `json:"first_payload_hex"`
}

type oracleSequence struct {
	OldFull    uint32 `json:"seq_old_full"`
	OldPartial uint32 `json:"seq_old_partial"`
	ZeroWindow uint32 `json:"win0_packets_no_syn_fin_rst"`
	KeepAlive  uint32 `json:"keepalive_like"`
}

// TestReplayEqualsTheOracle replays captures of real traffic, with losses, uploads and closed windows, and compares every
// figure of every flow.
func TestReplayEqualsTheOracle(t *testing.T) {
	needRoot(t)
	folder := os.Getenv("FIVETUPLE_SHARED")
	if folder == "" {
		folder = filepath.Join("..", "..", "shared")
	}
	files, err := filepath.Glob(filepath.Join(folder, "pcaps", "lab1_*.pcap"))
	if err != nil || len(files) == 0 {
		skip(t, fmt.Sprintf("no captures in %s: name their folder by FIVETUPLE_SHARED", folder))
	}
	flows := 0
	for _, file := range files {
		got := replayFile(t, file)
		for _, want := range readOracle(t, file) {
			flows++
			key := fmt.Sprintf("%v:%d <- %v:%d", want.B, want.BPort, want.A, want.APort)
			compareReplayed(t, filepath.Base(file)+" "+key, got[key], want)
		}
	}
	t.Logf("%d flows of %d captures", flows, len(files))
}

func replayFile(t *testing.T, file string) map[string]replayed {
	t.Helper()
	var out bytes.Buffer
	if err := replay(&out, file, "", true); err != nil {
		t.Fatal(err)
	}
	flows := make(map[string]replayed)
	for line := range strings.Lines(out.String()) {
		var r replayed
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		flows[fmt.Sprintf("%v:%d <- %v:%d", r.Local, r.LocalPort, r.Remote, r.RemotePort)] = r
	}
	return flows
}

func readOracle(t *testing.T, file string) []oracleFlow {
	t.Helper()
	text, err := os.ReadFile(file + ".flows.json")
	if err != nil {
		t.Fatal(err)
	}
	var flows []oracleFlow
	if err := json.Unmarshal(text, &flows); err != nil {
		t.Fatal(err)
	}
	return flows
}

func compareReplayed(t *testing.T, name string, got replayed, want oracleFlow) {
	t.Helper()
	if got.Proto != strings.ToLower(want.Proto) {
		t.Errorf("%s: no such flow", name)
		return
	}
	compareSide(t, name+" rx", got.RX, got.FirstPayload.RX, want.AToB, want.Defined.AToB)
	compareSide(t, name+" tx", got.TX, got.FirstPayload.TX, want.BToA, want.Defined.BToA)
	if got.Exchanges != want.Defined.Exchanges.AToB {
		t.Errorf("%s: %d exchanges, want %d", name, got.Exchanges, want.Defined.Exchanges.AToB)
	}
	compareTime(t, name+" SYN to SYN-ACK", got.Handshake.SYNToSYNACK, want.Defined.Handshake.SYNToSYNACK)
	compareTime(t, name+" SYN-ACK to ACK", got.Handshake.SYNACKToACK, want.Defined.Handshake.SYNACKToACK)
}

func compareSide(t *testing.T, name string, got replayedSide, first string, want oracleSide, sequence oracleSequence) {
	t.Helper()
	flags, err := strconv.ParseUint(want.Flags, 0, 16)
	if err != nil {
		t.Fatal(err)
	}
	expected := replayedSide{
		Packets: want.Packets, Bytes: want.Bytes, PayloadBytes: want.Payload, Flags: uint16(flags),
		Retransmitted: sequence.OldFull + sequence.OldPartial, ZeroWindow: sequence.ZeroWindow, KeepAlive: sequence.KeepAlive,
	}
	if got.OutOfOrder != 0 {
		t.Errorf("%s: %d out of order: this program does not tell them yet", name, got.OutOfOrder)
	}
	if got != expected || first != want.First {
		t.Errorf("%s: %+v %s, want %+v %s", name, got, first, expected, want.First)
	}
}

// compareTime allows for the oracle's rounding to a nanosecond's text.
func compareTime(t *testing.T, name string, got, want *float64) {
	t.Helper()
	if (got == nil) != (want == nil) || got != nil && (*got-*want > 0.001 || *want-*got > 0.001) {
		t.Errorf("%s: %v us, want %v", name, text(got), text(want))
	}
}

func text(us *float64) string {
	if us == nil {
		return "none"
	}
	return fmt.Sprint(*us)
}

func TestReplayRefuses(t *testing.T) {
	for name, c := range map[string]struct{ file, local, want string }{
		"no file":      {"absent.pcap", "", "absent.pcap"},
		"no capture":   {"replay.go", "", "not a capture file"},
		"a wrong net":  {"", "10.0.0.0/33", `--local: "10.0.0.0/33" is neither an address nor a net`},
		"a wrong name": {"", "lo", `--local: "lo" is neither an address nor a net`},
	} {
		var err error
		if c.file != "" {
			err = replay(new(bytes.Buffer), c.file, c.local, false)
		} else {
			_, err = parsePrefix(c.local)
		}
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
