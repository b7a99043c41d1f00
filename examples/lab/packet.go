package lab

import "time"

// Packet is one frame as a capture saw it.
type Packet struct {
	// Time is the kernel's time stamp as CLOCK_MONOTONIC, in nanoseconds: the clock of bpf_ktime_get_ns.
	Time int64
	// Wall is the same time stamp as the kernel gave it (CLOCK_REALTIME).
	Wall time.Time
	// RX says the frame came in on the interface, else it went out.
	RX bool
	// Data is the frame from the Ethernet header on, VLAN tags in place, cut to the first 256 bytes.
	Data []byte
	// Length is the frame's whole length in bytes, with Ethernet header, VLAN tags and padding.
	Length int
	// GSOSize is the payload of each segment of a merged packet, in bytes; 0 when it is one segment.
	GSOSize int
}
