package signal_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"fivetuple/correlator/signal"
)

// TestSourceSignals has each signal at its floor, below it, and beside its benign twin.
func TestSourceSignals(t *testing.T) {
	for _, c := range []struct {
		name   string
		window signal.SourceWindow
		signal signal.Signal
		want   float64
	}{
		{"half-open at its floor", signal.SourceWindow{HalfOpen: 20}, signal.HalfOpen, 0.5},
		{"half-open below", signal.SourceWindow{HalfOpen: 19}, signal.HalfOpen, 0},
		{"half-open, most are completed", signal.SourceWindow{HalfOpen: 40, SYNs: 1000, Handshakes: 960}, signal.HalfOpen, 0},
		{"half-open, half are completed", signal.SourceWindow{HalfOpen: 40, Handshakes: 40}, signal.HalfOpen, 0.875},
		{"refused SYNs", signal.SourceWindow{SYNs: 19_999}, signal.HalfOpen, 0},
		{"more SYNs than the table holds", signal.SourceWindow{SYNs: 40_000}, signal.HalfOpen, 0.875},

		{"slow headers at their floor", signal.SourceWindow{Dripping: 8, Active: 8}, signal.SlowHeaders, 0.5},
		{"slow headers below", signal.SourceWindow{Dripping: 7, Active: 7}, signal.SlowHeaders, 0},
		{"slow headers, a bad client among many", signal.SourceWindow{Dripping: 20, Active: 100}, signal.SlowHeaders, 0},
		{"slow headers, half of all", signal.SourceWindow{Dripping: 32, Active: 64}, signal.SlowHeaders, 1 - 1./32},

		{"ports at their floor", signal.SourceWindow{Ports: 15, SYNs: 15}, signal.PortScan, 0.5},
		{"ports below", signal.SourceWindow{Ports: 14, SYNs: 14}, signal.PortScan, 0},
		{"ports that are open to it", signal.SourceWindow{Ports: 200, SYNs: 200, Handshakes: 190}, signal.PortScan, 0},

		{"connections at their floor", signal.SourceWindow{Short: 150}, signal.ConnectionRate, 0.5},
		{"connections below", signal.SourceWindow{Short: 149}, signal.ConnectionRate, 0},
		{"connections, not far beyond", signal.SourceWindow{Short: 1199}, signal.ConnectionRate, 0.6},
		{"connections, far beyond", signal.SourceWindow{Short: 1200}, signal.ConnectionRate, 1 - 1./128},
		{"connections as usual", signal.SourceWindow{Short: 390, UsualShort: 100}, signal.ConnectionRate, 0},
		{"connections, unusual", signal.SourceWindow{Short: 400, UsualShort: 100}, signal.ConnectionRate, 0.5},

		{"requests at their floor", signal.SourceWindow{Paced: 300}, signal.RequestRate, 0.5},
		{"requests below", signal.SourceWindow{Paced: 299}, signal.RequestRate, 0},
		{"requests, not far beyond", signal.SourceWindow{Paced: 2399}, signal.RequestRate, 0.6},
		{"requests, far beyond", signal.SourceWindow{Paced: 2400}, signal.RequestRate, 1 - 1./128},
		{"requests as usual", signal.SourceWindow{Paced: 1000, UsualPaced: 300}, signal.RequestRate, 0},

		{"malformed at its floor", signal.SourceWindow{Malformed: 64}, signal.Malformed, 0.5},
		{"malformed below", signal.SourceWindow{Malformed: 63}, signal.Malformed, 0},
	} {
		facts := c.window.Facts()
		if got := facts.Strength(c.signal); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%s: %v has the strength %v, want %v", c.name, c.signal, got, c.want)
		}
		if v := facts.Verdict(signal.All &^ signal.Of(c.signal)); v.Signals != 0 {
			t.Errorf("%s: also %v", c.name, v.Signals)
		}
	}
}

// TestListenerSignals is the same for listeners.
func TestListenerSignals(t *testing.T) {
	for _, c := range []struct {
		name   string
		window signal.ListenerWindow
		signal signal.Signal
		want   float64
	}{
		{"SYN flood at its floor", signal.ListenerWindow{Unfinished: 200}, signal.SYNFlood, 0.5},
		{"SYN flood below", signal.ListenerWindow{Unfinished: 199}, signal.SYNFlood, 0},
		{"lost packets of a peak", signal.ListenerWindow{Unfinished: 400, Completed: 9600}, signal.SYNFlood, 0},
		{"SYN flood beside a peak", signal.ListenerWindow{Unfinished: 400, Completed: 1200}, signal.SYNFlood, 0.875},
		{"reflection at its floor", signal.ListenerWindow{Unsolicited: 50}, signal.Reflection, 0.5},
		{"reflection below", signal.ListenerWindow{Unsolicited: 49}, signal.Reflection, 0},
		{"volume at its floor", signal.ListenerWindow{Stray: 2000}, signal.Volume, 0.5},
		{"volume below", signal.ListenerWindow{Stray: 1999}, signal.Volume, 0},
		{"volume as usual", signal.ListenerWindow{Stray: 20_000, UsualStray: 10_000}, signal.Volume, 0},
		{"volume, unusual", signal.ListenerWindow{Stray: 40_000, UsualStray: 10_000}, signal.Volume, 0.5},
	} {
		facts := c.window.Facts()
		if got := facts.Strength(c.signal); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%s: %v has the strength %v, want %v", c.name, c.signal, got, c.want)
		}
		if v := facts.Verdict(signal.All &^ signal.Of(c.signal)); v.Signals != 0 {
			t.Errorf("%s: also %v", c.name, v.Signals)
		}
	}
}

// TestSourceStrengths holds what every strength promises: from 0 to 1, whatever the window, and monotone in its figure.
func TestSourceStrengths(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	figure := func() float64 {
		switch r.IntN(8) {
		case 0:
			return 0
		case 1:
			return []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1}[r.IntN(4)]
		}
		return math.Exp2(r.Float64() * 20)
	}
	for range 20_000 {
		s := signal.SourceWindow{
			SYNs: figure(), Handshakes: figure(), Ports: figure(), Malformed: figure(), HalfOpen: figure(), Active: figure(),
			Dripping: figure(), Short: figure(), Paced: figure(), UsualShort: figure(), UsualPaced: figure(),
		}
		l := signal.ListenerWindow{
			Unfinished: figure(), Completed: figure(), Unsolicited: figure(), Stray: figure(), UsualStray: figure(),
		}
		more, moreL := s, l
		for _, f := range []*float64{&more.HalfOpen, &more.Ports, &more.Malformed, &more.Short, &more.Paced} {
			*f += math.Exp2(r.Float64() * 10)
		}
		added := math.Exp2(r.Float64() * 10)
		more.Dripping, more.Active = more.Dripping+added, more.Active+added
		for _, f := range []*float64{&moreL.Unfinished, &moreL.Unsolicited, &moreL.Stray} {
			*f += math.Exp2(r.Float64() * 10)
		}
		for _, one := range signal.OfSources() {
			within(t, one.Signal, one.Strength(&s), one.Strength(&more))
		}
		for _, one := range signal.OfListeners() {
			within(t, one.Signal, one.Strength(&l), one.Strength(&moreL))
		}
	}
}

func within(t *testing.T, s signal.Signal, strength, more float64) {
	t.Helper()
	if !(strength >= 0 && strength <= 1) || more < strength {
		t.Fatalf("%v has the strength %v, and with more of it %v", s, strength, more)
	}
}
