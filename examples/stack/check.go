package stack

import (
	"errors"
	"fmt"
	"net/netip"

	"fivetuple/examples/lab"
)

// ErrCapture means that the capture shows something else than a call's headers say.
var ErrCapture = errors.New("the capture differs")

// WireSize returns the IP bytes that the capture shows for a call: those of the first Insight.Packets segments with
// payload of its exchange. They are what the header must say, to the byte.
func WireSize(flows map[lab.FlowKey]*lab.Flow, gateway, client netip.AddrPort, in Insight) (uint64, error) {
	f, ok := flows[lab.FlowKey{Local: gateway, Remote: client}]
	if !ok {
		return 0, fmt.Errorf("%w: no connection %v <- %v in it", ErrCapture, gateway, client)
	}
	if !in.HasSize {
		return 0, nil
	}
	bytes, err := f.FirstRX(int(in.Number), int(in.Number), int(in.Packets))
	if err != nil {
		return 0, fmt.Errorf("%w: %v <- %v: %w", ErrCapture, gateway, client, err)
	}
	return bytes, nil
}
