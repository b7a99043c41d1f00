package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

const columns = "%4v  %-31s %-28s %11v %11v %9v %11v"

func tableHead() string {
	return fmt.Sprintf(columns, "call", "what", "match", "latency", "size", "packets", "wait")
}

// row is the call's line in the table.
func (c call) row() string {
	latency := "unknown"
	if c.Latency > 0 {
		latency = fmt.Sprintf("%d us", c.Latency)
	}
	return fmt.Sprintf(columns, c.Number, c.Kind, c.MatchRaw, latency,
		fmt.Sprintf("%d B", c.Size), c.Packets, fmt.Sprintf("%d us", c.Wait))
}

// errDiffers means that what the headers say is not what the capture shows.
var errDiffers = errors.New("headers and capture differ")

// report compares every call with the capture, writes the calls, and ends with the sums.
func report(calls []call, flows map[lab.FlowKey]*lab.Flow, to io.Writer, out io.Writer) error {
	var matched int
	var headers, wire uint64
	var errs []error
	for i := range calls {
		c := &calls[i]
		var err error
		if c.Wire, err = stack.WireSize(flows, c.Gateway, c.Client, c.Insight); err != nil {
			errs = append(errs, fmt.Errorf("call %d: %w", c.Number, err))
		} else if c.Wire != uint64(c.Size) {
			errs = append(errs, fmt.Errorf("%w: call %d: header %d, capture %d bytes", errDiffers, c.Number, c.Size, c.Wire))
		}
		if c.Match == "none" {
			errs = append(errs, fmt.Errorf("call %d has no record: %s", c.Number, c.MatchRaw))
		} else {
			matched++
		}
		headers += uint64(c.Size)
		wire += c.Wire
	}
	if to != nil {
		errs = append(errs, writeCalls(to, calls))
	}
	fmt.Fprintf(out, "demo: %d calls, %d matched, %d bytes in headers, %d bytes on the wire\n",
		len(calls), matched, headers, wire)
	return errors.Join(errs...)
}

func writeCalls(to io.Writer, calls []call) error {
	encoder := json.NewEncoder(to)
	for _, c := range calls {
		if err := encoder.Encode(c); err != nil {
			return fmt.Errorf("write calls: %w", err)
		}
	}
	return nil
}
