package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"strings"
)

// replayed are what `fivetuple replay --json` printed of a capture.
type replayed struct {
	flows   map[pair]reading // generations of a 5-tuple added up
	order   []pair           // by first packet
	closing closing
	faults  []string
}

// closing is the last object.
type closing struct {
	Reasons  map[string]uint64 `json:"reasons"`
	Frames   uint64            `json:"frames"`
	NotTaken []struct {
		Packet int    `json:"packet"`
		Error  string `json:"error"`
	} `json:"not_taken"`
}

// replayLine is a line of the output: a flow, or the closing object, which alone has reasons.
type replayLine struct {
	closing
	Proto      string     `json:"proto"`
	Local      netip.Addr `json:"local"`
	LocalPort  uint16     `json:"local_port"`
	Remote     netip.Addr `json:"remote"`
	RemotePort uint16     `json:"remote_port"`
	RX         replaySide `json:"rx"`
	TX         replaySide `json:"tx"`
	Handshake  struct {
		SYNToSYNACK *float64 `json:"syn_to_synack_us"`
		SYNACKToACK *float64 `json:"synack_to_ack_us"`
	} `json:"handshake"`
	Exchanges uint64 `json:"exchanges"`
	Turns     turns  `json:"turns"`
	First     struct {
		RX string `json:"rx"`
		TX string `json:"tx"`
	} `json:"first_payload"`
}

type replaySide struct {
	Packets       uint64 `json:"packets"`
	Bytes         uint64 `json:"bytes"`
	Payload       uint64 `json:"payload_bytes"`
	Flags         uint64 `json:"flags"`
	Retransmitted uint64 `json:"retransmitted"`
	OutOfOrder    uint64 `json:"out_of_order"`
	ZeroWindow    uint64 `json:"zero_window"`
	KeepAlive     uint64 `json:"keep_alive"`
}

// replay runs the program on a capture. What it printed before it failed counts all the same.
func replay(ctx context.Context, binary, capture string) (*replayed, error) {
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, "replay", "--json", capture)
	cmd.Stdout, cmd.Stderr = &out, &said
	failed := cmd.Run()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if exit := (*exec.ExitError)(nil); failed != nil && !errors.As(failed, &exit) {
		return nil, fmt.Errorf("start the replay: %w", failed)
	}
	r, err := decodeReplay(&out)
	if err != nil {
		r.faults = append(r.faults, "its output: "+err.Error())
	}
	if failed != nil && len(r.closing.NotTaken) == 0 { // else these say why
		r.faults = append(r.faults, fmt.Sprintf("%v: %s", failed, firstLine(said.String())))
	}
	return r, nil
}

// firstLine leaves out what the verifier has to say, among others.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

var errNoClosing = errors.New("there is no closing object with the reasons")

// decodeReplay reads the objects up to the closing one, which must be there and the last; with an error what came before.
func decodeReplay(text io.Reader) (*replayed, error) {
	r := &replayed{flows: make(map[pair]reading)}
	decoder := json.NewDecoder(text)
	for number := 1; ; number++ {
		var line replayLine
		err := decoder.Decode(&line)
		switch {
		case errors.Is(err, io.EOF) && r.closing.Reasons == nil:
			return r, errNoClosing
		case errors.Is(err, io.EOF):
			return r, nil
		case err != nil:
			return r, fmt.Errorf("object %d: %w", number, err)
		case r.closing.Reasons != nil:
			return r, fmt.Errorf("object %d: it follows the closing one", number)
		case line.Reasons != nil:
			r.closing = line.closing
		default:
			r.add(line.reading())
		}
	}
}

// add takes a generation of a flow. One that has its sides the other way round than an earlier one keeps that as its fault.
func (r *replayed) add(g reading) {
	earlier, ok := r.flows[g.pair]
	if !ok {
		r.order = append(r.order, g.pair)
		r.flows[g.pair] = g
		return
	}
	if g.initiator != earlier.initiator {
		g = g.turned()
	}
	r.flows[g.pair] = earlier.plus(g)
}

func (l *replayLine) reading() reading {
	local := netip.AddrPortFrom(l.Local.Unmap(), l.LocalPort)
	remote := netip.AddrPortFrom(l.Remote.Unmap(), l.RemotePort)
	return reading{
		pair: newPair(l.Proto, local, remote), initiator: remote,
		a: l.RX.side(l.First.RX), b: l.TX.side(l.First.TX),
		exchanges:   l.Exchanges,
		turns:       l.Turns,
		synToSYNACK: l.Handshake.SYNToSYNACK, synackToACK: l.Handshake.SYNACKToACK,
	}
}

func (s *replaySide) side(first string) side {
	return side{
		packets: s.Packets, bytes: s.Bytes, payload: s.Payload, flags: s.Flags, first: first,
		old: s.Retransmitted + s.OutOfOrder, zeroWindow: s.ZeroWindow, keepAlive: s.KeepAlive,
	}
}
