package flow

// Stamp is a moment to 16 ns, in the six bytes that an exchange has for it: the low 48 bits of CLOCK_MONOTONIC nanoseconds
// / 16, which tell 52 days; zero: none. Its twin is struct stamp in bpf/record.h.
type Stamp struct{ Part [3]uint16 }

const (
	stampShift = 4
	stampMask  = 1<<48 - 1
)

// StampOf returns a time's stamp.
func StampOf(ns uint64) Stamp {
	v := max(ns>>stampShift&stampMask, 1)
	return Stamp{[3]uint16{uint16(v), uint16(v >> 16), uint16(v >> 32)}}
}

// IsZero says whether there is none.
func (s Stamp) IsZero() bool { return s == Stamp{} }

// Time returns the moment, a multiple of 16 nanoseconds, that lies within 26 days of another, which is the connection's
// last packet; 0 if there is none.
func (s Stamp) Time(near uint64) uint64 {
	if s.IsZero() {
		return 0
	}
	v := uint64(s.Part[0]) | uint64(s.Part[1])<<16 | uint64(s.Part[2])<<32
	ahead := int64((v-near>>stampShift)<<16) >> 16 // 48 bits, with their sign
	return (near>>stampShift + uint64(ahead)) << stampShift
}
