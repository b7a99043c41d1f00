package main

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// oracleFlow is a 5-tuple of X.flows.json; exact are the figures that follow from definitions alone.
type oracleFlow struct {
	Proto string      `json:"proto"`
	A     netip.Addr  `json:"a_ip"` // the initiator
	APort uint16      `json:"a_port"`
	B     netip.Addr  `json:"b_ip"`
	BPort uint16      `json:"b_port"`
	AToB  *oracleSide `json:"a2b"`
	BToA  *oracleSide `json:"b2a"`
	Agree *bool       `json:"agree"` // both readings behind the oracle do
	Exact *struct {
		AToB      *oracleSequence `json:"a2b"`
		BToA      *oracleSequence `json:"b2a"`
		Anomalies map[string]int  `json:"anomalies"`
		Runs      struct {
			AToB uint64 `json:"a2b"`
		} `json:"data_runs_newdata"`
		Handshake struct {
			SYNToSYNACK *float64 `json:"syn_to_synack_us"`
			SYNACKToACK *float64 `json:"synack_to_ack_us"`
		} `json:"handshake"`
	} `json:"exact"`
}

type oracleSide struct {
	Packets uint64  `json:"packets"`
	Bytes   uint64  `json:"l3_bytes"`
	Payload uint64  `json:"payload_bytes"`
	Flags   string  `json:"flags_or"`
	First   *string `json:"first_payload_hex"` // null: no payload was captured
}

type oracleSequence struct {
	OldFull    uint64 `json:"seq_old_full"`
	OldPartial uint64 `json:"seq_old_partial"`
	ZeroWindow uint64 `json:"win0_packets_no_syn_fin_rst"`
	KeepAlive  uint64 `json:"keepalive_like"`
}

// comparable says whether the oracle is certain of its figures: not where its two readings differ, nor where an IP header
// claims more bytes than were on the wire.
func (f *oracleFlow) comparable() bool {
	return *f.Agree && f.Exact.Anomalies["ip_len_gt_wire"] == 0
}

// readOracle reads the flows of a capture.
func readOracle(path string) ([]oracleFlow, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var text io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if text, err = gzip.NewReader(f); err != nil {
			return nil, fmt.Errorf("%s: unpack: %w", path, err)
		}
	}
	flows, err := decodeOracle(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return flows, nil
}

func decodeOracle(text io.Reader) ([]oracleFlow, error) {
	decoder := json.NewDecoder(text)
	var flows []oracleFlow
	if err := decoder.Decode(&flows); err != nil {
		return nil, fmt.Errorf("after byte %d: %w", decoder.InputOffset(), place(err))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("byte %d: something follows the array of flows", decoder.InputOffset())
	}
	for i := range flows {
		if err := flows[i].check(); err != nil {
			return nil, fmt.Errorf("flow %d: %w", i+1, err)
		}
	}
	return flows, nil
}

// place adds where in the text a JSON error is.
func place(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("byte %d: %w", syntax.Offset, err)
	case errors.As(err, &kind):
		return fmt.Errorf("byte %d: %w", kind.Offset, err)
	}
	return err
}

// check refuses a flow that lacks what is compared.
func (f *oracleFlow) check() error {
	switch {
	case f.Proto != "TCP" && f.Proto != "UDP":
		return fmt.Errorf("proto is %q, want TCP or UDP", f.Proto)
	case !f.A.IsValid() || !f.B.IsValid():
		return errors.New("a_ip or b_ip is missing")
	case f.AToB == nil || f.BToA == nil:
		return errors.New("a2b or b2a is missing")
	case f.Agree == nil:
		return errors.New("agree is missing")
	case f.Exact == nil || f.Exact.AToB == nil || f.Exact.BToA == nil:
		return errors.New("exact, or its a2b or b2a, is missing")
	}
	_, errA := f.AToB.flags(f.Proto)
	_, errB := f.BToA.flags(f.Proto)
	return errors.Join(errA, errB)
}

func (s *oracleSide) flags(proto string) (uint64, error) {
	if proto == "UDP" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s.Flags, 0, 9)
	if err != nil {
		return 0, fmt.Errorf("flags_or: %w", err)
	}
	return n, nil
}

// reading returns the flow's figures.
func (f *oracleFlow) reading() reading {
	return reading{
		pair:      newPair(f.Proto, netip.AddrPortFrom(f.A.Unmap(), f.APort), netip.AddrPortFrom(f.B.Unmap(), f.BPort)),
		initiator: netip.AddrPortFrom(f.A.Unmap(), f.APort),
		a:         f.AToB.side(f.Proto, f.Exact.AToB), b: f.BToA.side(f.Proto, f.Exact.BToA),
		exchanges:   f.Exact.Runs.AToB,
		synToSYNACK: f.Exact.Handshake.SYNToSYNACK, synackToACK: f.Exact.Handshake.SYNACKToACK,
	}
}

func (s *oracleSide) side(proto string, q *oracleSequence) side {
	flags, _ := s.flags(proto) // checked when it was read
	out := side{
		packets: s.Packets, bytes: s.Bytes, payload: s.Payload, flags: flags,
		old: q.OldFull + q.OldPartial, zeroWindow: q.ZeroWindow, keepAlive: q.KeepAlive,
	}
	if s.First != nil {
		out.first = *s.First
	}
	return out
}
