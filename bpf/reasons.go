package bpf

import (
	"fmt"

	"github.com/cilium/ebpf"

	"fivetuple/correlator/flow"
)

// Reason says how a packet left the program: each packet is counted once, under its direction and one reason. Its twin
// is enum reason in bpf/record.h.
type Reason uint32

// The reasons. The first three are packets that were recorded.
const (
	RecordedFlow Reason = iota
	RecordedHalfOpen
	RecordedUDP
	NotIP
	VLANDepth
	L2Truncated
	IPTruncated
	IPBadVersion
	IPBadHeaderLength
	IPBadLength
	IPLaterFragment
	IPv6ExtensionDepth
	OtherProtocol
	L4Truncated
	L4BadLength
	NoConnection
	UnsolicitedSYNACK // it answers no SYN of this host: the sign of a reflection, or of a scan
	TableFull
	OtherInterface
	Contended
	reasonCount
)

// String returns the reason's name, as metrics and logs have it.
func (r Reason) String() string {
	names := [reasonCount]string{
		RecordedFlow:       "recorded-flow",
		RecordedHalfOpen:   "recorded-half-open",
		RecordedUDP:        "recorded-udp",
		NotIP:              "not-ip",
		VLANDepth:          "vlan-depth",
		L2Truncated:        "l2-truncated",
		IPTruncated:        "ip-truncated",
		IPBadVersion:       "ip-bad-version",
		IPBadHeaderLength:  "ip-bad-header-length",
		IPBadLength:        "ip-bad-length",
		IPLaterFragment:    "ip-later-fragment",
		IPv6ExtensionDepth: "ipv6-extension-depth",
		OtherProtocol:      "other-protocol",
		L4Truncated:        "l4-truncated",
		L4BadLength:        "l4-bad-length",
		NoConnection:       "no-connection",
		UnsolicitedSYNACK:  "unsolicited-syn-ack",
		TableFull:          "table-full",
		OtherInterface:     "other-interface",
		Contended:          "contended",
	}
	if r >= reasonCount {
		return fmt.Sprintf("reason-%d", uint32(r))
	}
	return names[r]
}

// Reasons are packets by direction, flow.RX or flow.TX, and reason.
type Reasons [2][reasonCount]uint64

// readReasons sums the counts over all CPUs.
func readReasons(m *ebpf.Map) (Reasons, error) {
	var sums Reasons
	for dir := flow.RX; dir <= flow.TX; dir++ {
		for r := range reasonCount {
			var perCPU []uint64
			if err := m.Lookup(uint32(dir)*uint32(reasonCount)+uint32(r), &perCPU); err != nil {
				return Reasons{}, fmt.Errorf("read count of %v: %w", r, err)
			}
			for _, n := range perCPU {
				sums[dir][r] += n
			}
		}
	}
	return sums, nil
}
