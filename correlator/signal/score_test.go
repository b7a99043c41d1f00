package signal_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"fivetuple/correlator/signal"
)

// TestScore holds what the score promises: bounded, and monotone in each strength.
func TestScore(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		var f signal.Facts
		for range r.IntN(6) {
			f.Add(signal.Signal(r.IntN(int(signal.Signals))), r.Float64()*1.2-0.1)
		}
		if r.IntN(3) == 0 {
			f.AddSource(signal.Verdict{Score: r.Float64(), Signals: signal.Of(signal.SlowHeaders)})
		}
		before := f.Verdict(signal.All)
		s := signal.Signal(r.IntN(int(signal.Signals)))
		f.Add(s, r.Float64())
		after := f.Verdict(signal.All)
		if before.Score < 0 || after.Score > 1 || after.Score < before.Score {
			t.Fatalf("score went from %v to %v by one more fact", before, after)
		}
		if some := f.Verdict(signal.Set(r.Uint32())); some.Score > after.Score {
			t.Fatalf("some signals have the score %v, all of them %v", some, after)
		}
	}
}

func TestScoreOfStrangeStrengths(t *testing.T) {
	for _, test := range []struct{ strength, want float64 }{
		{0, 0}, {-1, 0}, {math.NaN(), 0}, {math.Inf(1), 1}, {2, 1}, {1, 1}, {0.25, 0.25},
	} {
		var f signal.Facts
		f.Add(signal.Retransmit, test.strength)
		got := f.Verdict(signal.All)
		if got.Score != test.want || (got.Signals != 0) != (test.want > 0) {
			t.Errorf("strength %v: %v, want the score %v", test.strength, got, test.want)
		}
	}
}

func TestNames(t *testing.T) {
	for s := range signal.Signals {
		if got, ok := signal.Parse(s.String()); !ok || got != s {
			t.Errorf("Parse(%q) = %v, %v", s.String(), got, ok)
		}
	}
	if _, ok := signal.Parse("loud"); ok {
		t.Error("a name that no signal has was taken")
	}
	if got := signal.Of(signal.Volume, signal.Retransmit).String(); got != "retransmit volume" {
		t.Errorf("got %q", got)
	}
}

// TestAPersonsWord has no signals, and counts whichever are asked for.
func TestAPersonsWord(t *testing.T) {
	var f signal.Facts
	f.AddSource(signal.Verdict{Score: 1})
	f.Add(signal.RTT, 0.25)
	for _, of := range []signal.Set{0, signal.Of(signal.Retransmit), signal.All} {
		want := signal.Verdict{Score: 1, Signals: of & signal.Of(signal.RTT)}
		if got := f.Verdict(of); got != want {
			t.Errorf("of %q: %v, want %v", of, got, want)
		}
	}
}
