package fleet

import (
	"fmt"
	"testing"
)

// crowded returns a board that is as full as it gets: 16,384 addresses, each of them held by so many gateways.
func crowded(b *testing.B, by int) *Board {
	b.Helper()
	board, err := NewBoard(Options{Gateway: "victim", SharedVerdicts: VerdictsEnforce, Quorum: 2}, NewInstance([8]byte{}))
	if err != nil {
		b.Fatal(err)
	}
	for group := 0; group*maxFlags < maxSources; group++ {
		f := flagsOf(group*maxFlags, maxFlags)
		text, err := Encode(&f)
		if err != nil {
			b.Fatal(err)
		}
		for i := range by {
			if err := board.Hear(fmt.Sprintf("gw-%d-%d", group, i), text, true, Moment{Kernel: 1, Redis: begin}); err != nil {
				b.Fatal(err)
			}
		}
	}
	return board
}

// BenchmarkList is what is done four times a second.
func BenchmarkList(b *testing.B) {
	for _, by := range []int{2, 64} {
		b.Run(fmt.Sprint(by), func(b *testing.B) {
			board := crowded(b, by)
			n := 0
			for b.Loop() {
				n = 0
				board.List(1, func([16]byte, Counted) { n++ })
			}
			b.ReportMetric(float64(n), "sources")
		})
	}
}

// BenchmarkHear is a list of 1,000 flags.
func BenchmarkHear(b *testing.B) {
	board := crowded(b, 2)
	f := flagsOf(0, maxFlags)
	text, err := Encode(&f)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if err := board.Hear("gw-0-0", text, true, Moment{Kernel: 1, Redis: begin}); err != nil {
			b.Fatal(err)
		}
	}
}
