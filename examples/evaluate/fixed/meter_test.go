package fixed_test

import (
	"testing"
	"time"

	"fivetuple/examples/evaluate/fixed"
)

const second = uint64(time.Second)

func limits(alarms []fixed.Alarm) (seen [fixed.Limits]int) {
	for _, a := range alarms {
		seen[a.Limit]++
	}
	return seen
}

// TestMeter: each limit is reached just above its value, not at it, and says so once while it lasts.
func TestMeter(t *testing.T) {
	a := fixed.Address{15: 1}
	for _, test := range []struct {
		name string
		play func(m *fixed.Meter[int])
		want [fixed.Limits]int
	}{
		{"requests at the limit", func(m *fixed.Meter[int]) { requests(m, a, fixed.RequestsPerSecond, 1) }, [fixed.Limits]int{}},
		{"one more", func(m *fixed.Meter[int]) { requests(m, a, fixed.RequestsPerSecond+1, 5) }, [fixed.Limits]int{fixed.Requests: 1}},
		{"of two addresses", func(m *fixed.Meter[int]) {
			requests(m, a, fixed.RequestsPerSecond, 1)
			requests(m, fixed.Address{15: 2}, fixed.RequestsPerSecond, 1)
		}, [fixed.Limits]int{}},
		{"half-open at the limit", func(m *fixed.Meter[int]) { syns(m, fixed.HalfOpenMost) }, [fixed.Limits]int{}},
		{"one more half-open", func(m *fixed.Meter[int]) { syns(m, fixed.HalfOpenMost+5) }, [fixed.Limits]int{fixed.HalfOpen: 1}},
		{"completed in between", func(m *fixed.Meter[int]) {
			syns(m, fixed.HalfOpenMost)
			m.Established(0)
			m.SYN(second, 1000)
		}, [fixed.Limits]int{}},
		{"a head in time", func(m *fixed.Meter[int]) {
			m.HeadBegan(second, 1, a)
			m.HeadDone(1)
			m.Tick(100 * second)
		}, [fixed.Limits]int{}},
		{"a head that never ends", func(m *fixed.Meter[int]) {
			m.HeadBegan(second, 1, a)
			m.Tick(61 * second)
			m.Tick(62 * second)
			m.Tick(63 * second)
		}, [fixed.Limits]int{fixed.Header: 1}},
	} {
		m := fixed.NewMeter[int]()
		test.play(m)
		if got := limits(m.Alarms()); got != test.want {
			t.Errorf("%s: alarms %v, want %v", test.name, got, test.want)
		}
	}
}

// requests begins so many in each of some seconds.
func requests(m *fixed.Meter[int], of fixed.Address, n, seconds int) {
	for s := range seconds {
		for range n {
			m.Request(uint64(s+1)*second, of)
		}
	}
}

func syns(m *fixed.Meter[int], n int) {
	for i := range n {
		m.SYN(second, i)
	}
}
