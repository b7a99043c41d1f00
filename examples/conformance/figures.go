package main

import (
	"fmt"
	"strconv"
)

// figure is one that both sides have of a flow, as text: so that what is compared is what is shown.
type figure struct {
	name string
	tcp  bool // of TCP only
	// of returns it: for each direction, or once.
	of func(reading) []string
}

// The names of what is not a figure of a flow, but of there being one.
const (
	figureFlow = "flow" // both have the flow
	figureSide = "side" // and agree on who opened it
)

// figures returns all that are compared, in the order of the table.
func figures() []figure {
	return []figure{
		{figureSide, false, func(r reading) []string { return []string{"from " + r.initiator.String()} }},
		{"packets", false, eachWay(func(s side) uint64 { return s.packets })},
		{"bytes", false, eachWay(func(s side) uint64 { return s.bytes })},
		{"payload bytes", false, eachWay(func(s side) uint64 { return s.payload })},
		{"first payload", false, func(r reading) []string { return []string{orNone(r.a.first), orNone(r.b.first)} }},
		{"flags", true, func(r reading) []string { return []string{flags(r.a.flags), flags(r.b.flags)} }},
		{"SYN to SYN-ACK", true, func(r reading) []string { return []string{microseconds(r.synToSYNACK)} }},
		{"SYN-ACK to ACK", true, func(r reading) []string { return []string{microseconds(r.synackToACK)} }},
		{"zero windows", true, eachWay(func(s side) uint64 { return s.zeroWindow })},
		{"keep-alives", true, eachWay(func(s side) uint64 { return s.keepAlive })},
		{"retransmitted + out of order", true, eachWay(func(s side) uint64 { return s.old })},
		{"exchanges", true, func(r reading) []string { return []string{strconv.FormatUint(r.exchanges, 10)} }},
	}
}

func eachWay(of func(side) uint64) func(reading) []string {
	return func(r reading) []string {
		return []string{strconv.FormatUint(of(r.a), 10), strconv.FormatUint(of(r.b), 10)}
	}
}

func flags(n uint64) string { return fmt.Sprintf("0x%03x", n) }

func orNone(hex string) string {
	if hex == "" {
		return "none"
	}
	return hex
}

// microseconds rounds to nanoseconds, which is what captures have at best.
func microseconds(us *float64) string {
	if us == nil {
		return "none"
	}
	return fmt.Sprintf("%.3f us", *us+0) // -0 becomes 0
}
