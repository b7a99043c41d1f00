package main

import (
	"context"
	"fmt"
)

// result is what the comparison of all captures has found.
type result struct {
	captures    int
	frames      uint64
	accepted    uint64 // frames that the kernel ran the program on
	left        uint64 // frames that have a reason
	flows       int    // compared
	uncertain   int    // flows left out, because the oracle is not certain of them
	tallies     map[string]*tally
	differences []difference
	faults      []fault
}

// tally counts one figure.
type tally struct{ equal, compared int }

// difference is one figure of one flow.
type difference struct {
	Capture   string `json:"capture"`
	Flow      string `json:"flow"`
	Figure    string `json:"figure"`
	Direction string `json:"direction,omitempty"` // rx: from the initiator
	Replay    string `json:"replay"`
	Oracle    string `json:"oracle"`
}

// fault is what is wrong with a capture as a whole.
type fault struct {
	Capture string `json:"capture"`
	Packet  int    `json:"packet,omitempty"` // from 1; 0: all of it
	Fault   string `json:"fault"`
}

func newResult() *result {
	r := &result{tallies: map[string]*tally{figureFlow: {}}}
	for _, f := range figures() {
		r.tallies[f.name] = &tally{}
	}
	return r
}

func (r *result) equal() bool { return len(r.differences) == 0 && len(r.faults) == 0 }

// add replays a capture and compares it.
func (r *result) add(ctx context.Context, binary string, c captureFiles) error {
	want, err := readOracle(c.oracle)
	if err != nil {
		return err
	}
	packets, err := readPackets(c.meta)
	if err != nil {
		return err
	}
	got, err := replay(ctx, binary, c.path)
	if err != nil {
		return err
	}
	r.captures++
	for _, f := range got.faults {
		r.faults = append(r.faults, fault{c.name, 0, f})
	}
	if got.closing.Reasons == nil { // a fault says why; all that is missing need not be listed
		r.frames += packets
		r.compareNothing(want)
		return nil
	}
	r.compareFrames(c.name, got.closing, packets)
	r.compareFlows(c.name, got, want)
	return nil
}

// compareFrames holds the closing object against the capture's number of packets: each is read, accepted, and has a reason.
func (r *result) compareFrames(capture string, c closing, packets uint64) {
	accepted, left := c.Frames-uint64(len(c.NotTaken)), uint64(0)
	for _, n := range c.Reasons {
		left += n
	}
	r.frames += packets
	r.accepted += accepted
	r.left += left
	for _, n := range c.NotTaken {
		r.faults = append(r.faults, fault{capture, n.Packet, n.Error})
	}
	if c.Frames != packets {
		r.faults = append(r.faults, fault{capture, 0, fmt.Sprintf("%d packets read, the capture has %d", c.Frames, packets)})
	}
	if left != accepted {
		r.faults = append(r.faults, fault{capture, 0, fmt.Sprintf("the reasons add up to %d, accepted were %d frames", left, accepted)})
	}
}

// compareFlows compares every flow that the oracle is certain of, and looks for flows that it does not have.
func (r *result) compareFlows(capture string, got *replayed, want []oracleFlow) {
	known := make(map[pair]bool)
	for i := range want {
		expected := want[i].reading()
		known[expected.pair] = true
		if !want[i].comparable() {
			r.uncertain++
			continue
		}
		r.flows++
		flow, ok := got.flows[expected.pair]
		if !ok {
			r.missing(expected)
			r.differ(capture, expected, figureFlow, "", "no such flow", "there")
			continue
		}
		r.count(figureFlow, true)
		r.compareFlow(capture, flow, expected)
	}
	for _, p := range got.order {
		if !known[p] {
			r.count(figureFlow, false)
			r.differ(capture, got.flows[p], figureFlow, "", "there", "no such flow")
		}
	}
}

// compareNothing counts the flows of a capture that could not be replayed.
func (r *result) compareNothing(want []oracleFlow) {
	for i := range want {
		if !want[i].comparable() {
			r.uncertain++
			continue
		}
		r.flows++
		r.missing(want[i].reading())
	}
}

// missing counts a flow that the replay does not have: none of its figures is equal.
func (r *result) missing(expected reading) {
	r.count(figureFlow, false)
	for _, f := range figures() {
		if f.tcp && expected.pair.proto != "tcp" {
			continue
		}
		for range f.of(expected) {
			r.count(f.name, false)
		}
	}
}

func (r *result) compareFlow(capture string, got, want reading) {
	if got.initiator != want.initiator {
		got = got.turned() // the side differs; the other figures are still those of a direction
	}
	for _, f := range figures() {
		if f.tcp && want.pair.proto != "tcp" {
			continue
		}
		ours, theirs := f.of(got), f.of(want)
		for i := range theirs {
			r.count(f.name, ours[i] == theirs[i])
			if ours[i] != theirs[i] {
				r.differ(capture, want, f.name, direction(i, len(theirs)), ours[i], theirs[i])
			}
		}
	}
}

func direction(i, of int) string {
	if of == 1 {
		return ""
	}
	return [...]string{"rx", "tx"}[i]
}

func (r *result) count(figure string, equal bool) {
	t := r.tallies[figure]
	t.compared++
	if equal {
		t.equal++
	}
}

func (r *result) differ(capture string, flow reading, figure, direction, ours, theirs string) {
	r.differences = append(r.differences, difference{capture, flow.name(), figure, direction, ours, theirs})
}

// name returns the flow as logs have it: the side that was called first.
func (r reading) name() string {
	called := r.pair.x
	if called == r.initiator {
		called = r.pair.y
	}
	return fmt.Sprintf("%s %v <- %v", r.pair.proto, called, r.initiator)
}
