package main

import (
	"encoding/hex"
	"net/netip"

	"fivetuple/bpf"
	"fivetuple/correlator/flow"
)

// replayed is a flow as it is printed. Times are microseconds, negative ones were captured in the wrong order; bytes are IP
// bytes.
type replayed struct {
	Proto        string          `json:"proto"`
	Local        netip.Addr      `json:"local"`
	LocalPort    uint16          `json:"local_port"`
	Remote       netip.Addr      `json:"remote"`
	RemotePort   uint16          `json:"remote_port"`
	State        string          `json:"state"`
	RX           replayedSide    `json:"rx"`
	TX           replayedSide    `json:"tx"`
	Handshake    replayedTimes   `json:"handshake"`
	RTT          replayedRTT     `json:"rtt"`
	SYN          replayedSYN     `json:"syn"`
	Exchanges    uint32          `json:"exchanges"`
	Turns        replayedTurns   `json:"turns"`
	FirstPayload replayedPayload `json:"first_payload"`
}

type replayedSide struct {
	Packets        uint64 `json:"packets"`
	Bytes          uint64 `json:"bytes"`
	PayloadBytes   uint64 `json:"payload_bytes"`
	Flags          uint16 `json:"flags"`
	Retransmitted  uint32 `json:"retransmitted"`
	OutOfOrder     uint32 `json:"out_of_order"`
	ZeroWindow     uint32 `json:"zero_window"`
	KeepAlive      uint32 `json:"keep_alive"`
	HolesForgotten uint16 `json:"holes_forgotten"` // what fills them counts as retransmitted
}

type replayedTimes struct {
	SYNToSYNACK *float64 `json:"syn_to_synack_us"` // null: one of the two was not seen
	SYNACKToACK *float64 `json:"synack_to_ack_us"`
}

type replayedRTT struct {
	Min      uint32 `json:"min_us"`
	Smoothed uint32 `json:"smoothed_us"`
}

type replayedSYN struct {
	MSS        uint16 `json:"mss"`
	Wscale     *uint8 `json:"wscale"` // null: no such option
	SACK       bool   `json:"sack"`
	Timestamps bool   `json:"timestamps"`
	TTL        uint8  `json:"ttl"`
}

type replayedPayload struct {
	RX string `json:"rx"`
	TX string `json:"tx"`
}

func newReplayed(g *bpf.Generation) replayed {
	k, r := g.Key, &g.Record
	c := &r.Conn
	rx, tx := &c.Dir[flow.RX], &c.Dir[flow.TX]
	out := replayed{
		Proto: "tcp", State: c.State.String(),
		Local: k.LocalAddr().Addr(), LocalPort: k.LocalPort, Remote: k.RemoteAddr().Addr(), RemotePort: k.RemotePort,
		RX: newReplayedSide(rx), TX: newReplayedSide(tx),
		Handshake:    replayedTimes{between(c.SYN, c.SYNACK), between(c.SYNACK, c.ACK)},
		RTT:          replayedRTT{Min: r.RTT.MinUS, Smoothed: r.RTT.SmoothedUS8 / 8},
		Exchanges:    r.Exchange,
		Turns:        newReplayedTurns(g),
		FirstPayload: replayedPayload{hex.EncodeToString(rx.First()), hex.EncodeToString(tx.First())},
	}
	if k.Proto == flow.UDP {
		out.Proto = "udp"
	}
	if syn := rx; syn.Known&flow.KnownISN != 0 {
		out.SYN = replayedSYN{
			MSS: syn.SYNMSS, TTL: syn.TTL,
			SACK: syn.SYNOptions&flow.SYNSACK != 0, Timestamps: syn.SYNOptions&flow.SYNTimestamps != 0,
		}
		if syn.SYNOptions&flow.SYNWscale != 0 {
			out.SYN.Wscale = &syn.SYNWscale
		}
	}
	return out
}

// replayedTurns are the directions of the first and the last payload: of those that brought payload above the highest.
type replayedTurns struct {
	First string `json:"first"` // "rx", "tx", or "": there was none
	Last  string `json:"last"`
}

func newReplayedTurns(g *bpf.Generation) replayedTurns {
	const rx, tx = "rx", "tx"
	switch {
	case g.Record.Exchange == 0 && !g.TXFirst:
		return replayedTurns{}
	case g.Record.Exchange == 0:
		return replayedTurns{tx, tx}
	}
	turns := replayedTurns{rx, rx}
	if g.TXFirst {
		turns.First = tx
	}
	if g.Record.Answered != 0 {
		turns.Last = tx
	}
	return turns
}

func newReplayedSide(d *flow.Direction) replayedSide {
	return replayedSide{
		Packets: d.Packets, Bytes: d.Bytes, PayloadBytes: d.Payload, Flags: d.Flags, Retransmitted: d.Retransmitted,
		OutOfOrder: d.OutOfOrder, ZeroWindow: d.ZeroWindow, KeepAlive: d.KeepAlive, HolesForgotten: d.HolesForgotten,
	}
}

// between returns the microseconds from one moment to another, both in nanoseconds; nil if one was not seen.
func between(from, to uint64) *float64 {
	if from == 0 || to == 0 {
		return nil
	}
	us := float64(int64(to-from)) / 1000
	return &us
}
