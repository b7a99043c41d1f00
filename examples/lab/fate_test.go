package lab

import (
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func someRoute(port uint16) route {
	return route{netip.AddrPortFrom(netip.MustParseAddr(ClientIPv4), port), netip.MustParseAddrPort("10.77.1.1:80")}
}

// fates returns those of n packets that come in every interval.
func fates(i Impairment, r route, n int, interval time.Duration) (at []time.Time, all []fate) {
	way, now := newImpaired(i, r), time.Unix(0, 0)
	for range n {
		at, all = append(at, now), append(all, way.next(now))
		now = now.Add(interval)
	}
	return at, all
}

func TestDelayIsAtLeastTheBase(t *testing.T) {
	i := Impairment{
		Seed: 1, DelayMin: time.Millisecond, DelayMax: 40 * time.Millisecond, Jitter: 0.5,
		Reorder: 0.1, HoldMin: 2 * time.Millisecond, HoldMax: 9 * time.Millisecond,
	}
	for port := range uint16(100) {
		base := newImpaired(i, someRoute(port)).delay
		if base < i.DelayMin || base > i.DelayMax {
			t.Fatalf("port %d: base delay %v", port, base)
		}
		at, all := fates(i, someRoute(port), 1000, time.Second) // so late that none waits for the one before it
		for n, f := range all {
			delay := f.due.Sub(at[n])
			least, most := base, base+base/2
			if f.held {
				least, most = least+i.HoldMin, most+i.HoldMax
			}
			if delay < least || delay > most+time.Nanosecond {
				t.Fatalf("port %d, packet %d: delay %v is not in %v..%v", port, n, delay, least, most)
			}
		}
	}
}

func TestOrderIsKeptWithoutReordering(t *testing.T) {
	i := Impairment{Seed: 2, DelayMax: 10 * time.Millisecond, Jitter: 1}
	_, all := fates(i, someRoute(1), 10000, 10*time.Microsecond)
	if !slices.IsSortedFunc(all, func(a, b fate) int { return a.due.Compare(b.due) }) {
		t.Error("jitter changed the order")
	}
}

func TestHeldPacketsArePassed(t *testing.T) {
	i := Impairment{Seed: 3, DelayMax: 10 * time.Millisecond, Reorder: 0.05, HoldMin: time.Millisecond, HoldMax: 5 * time.Millisecond}
	_, all := fates(i, someRoute(1), 1000, 10*time.Microsecond)
	held, passed := 0, 0
	for n, f := range all[:900] {
		if f.held {
			held++
			if all[n+100].due.Before(f.due) || slices.ContainsFunc(all[n+1:n+100], func(g fate) bool { return !g.held && g.due.Before(f.due) }) {
				passed++
			}
		}
	}
	if held < 20 || held > 80 || passed != held {
		t.Errorf("%d of 900 packets held back, %d of them passed", held, passed)
	}
}

func TestShareOfLostPackets(t *testing.T) {
	i := Impairment{Seed: 4, Loss: 0.2}
	shares := 0.0
	for port := range uint16(100) {
		want := newImpaired(i, someRoute(port)).loss
		const packets = 10000
		lost := 0
		_, all := fates(i, someRoute(port), packets, 0)
		for _, f := range all {
			if f.lost {
				lost++
			}
		}
		// Five standard deviations of a binomial distribution.
		if got := float64(lost) / packets; math.Abs(got-want) > 5*math.Sqrt(want*(1-want)/packets)+1e-9 || want > i.Loss {
			t.Errorf("port %d: share %v lost, drawn %v", port, got, want)
		}
		shares += want
	}
	if mean := shares / 100; mean < 0.07 || mean > 0.13 {
		t.Errorf("the mean of the drawn shares is %v", mean)
	}
}

func TestFateIsRepeated(t *testing.T) {
	i := Impairment{Seed: 5, DelayMax: time.Second, Jitter: 1, Loss: 0.5, Reorder: 0.5, HoldMax: time.Second}
	_, first := fates(i, someRoute(7), 100, time.Millisecond)
	_, again := fates(i, someRoute(7), 100, time.Millisecond)
	_, other := fates(i, someRoute(8), 100, time.Millisecond)
	if !slices.Equal(first, again) || slices.Equal(first, other) {
		t.Error("the fates are not the connection's own")
	}
	i.Seed++
	if _, other := fates(i, someRoute(7), 100, time.Millisecond); slices.Equal(first, other) {
		t.Error("the fates are not the seed's")
	}
}

func TestImpairmentIsChecked(t *testing.T) {
	for _, i := range []Impairment{
		{Loss: 1.1}, {Jitter: -0.1}, {Reorder: math.NaN()}, {DelayMin: 1}, {DelayMin: -1}, {HoldMin: 2, HoldMax: 1},
	} {
		if i.validate() == nil {
			t.Errorf("%+v was taken", i)
		}
	}
}
