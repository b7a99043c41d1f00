package watch_test

import (
	"slices"
	"testing"
	"time"

	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

// attack is what has to be flagged: by its key and signal, and by the median of its ticks' phases within a time.
type attack struct {
	name   string
	key    flow.VerdictKey
	signal signal.Signal
	within time.Duration
	script func(*world)
}

const road = 20 * time.Millisecond

func attacks() []attack {
	return []attack{
		{"half-open, 100 a second", source(1), signal.HalfOpen, 2 * time.Second, func(w *world) {
			w.every(10*time.Millisecond, 1000, func(int) {
				c := w.client(address(1), 443, road)
				c.synAck(c.syn())
			})
		}},
		{"slow headers, a piece a second on 50 connections", source(1), signal.SlowHeaders, 10 * time.Second, func(w *world) {
			slow(w, 50, request, 1, 0, time.Second)
		}},
		{"slow headers, a piece in 4 s on 200 connections, 50 honest ones beside", source(1), signal.SlowHeaders, 10 * time.Second, func(w *world) {
			slow(w, 200, request, 200, 0, 4*time.Second)
			users(w, address(1), 50, time.Second, road)
		}},
		{"slow headers, byte by byte from the first", source(1), signal.SlowHeaders, 10 * time.Second, func(w *world) {
			slow(w, 20, "G", 1, 0, 500*time.Millisecond)
		}},
		{"slow headers over TLS", source(1), signal.SlowHeaders, 10 * time.Second, func(w *world) {
			slow(w, 50, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 230, 2, time.Second)
		}},
		{"slow body, behind a call on the same connection", source(1), signal.SlowHeaders, 10 * time.Second, func(w *world) {
			slow(w, 50, "POST / HTTP/1.1\r", 300, 1, time.Second)
		}},
		{"port scan, refused, 40 a second", source(1), signal.PortScan, 2 * time.Second, func(w *world) {
			w.every(25*time.Millisecond, 1000, func(i int) {
				c := w.client(address(1), 1000+i, road)
				c.refuse(c.syn())
			})
		}},
		{"connections of a request, 400 a second", source(1), signal.ConnectionRate, 2 * time.Second, func(w *world) {
			w.every(2500*time.Microsecond, 4000, func(int) { oneCall(w, address(1), road) })
		}},
		{"requests whose connections nobody saw", source(1), signal.ConnectionRate, 2 * time.Second, func(w *world) {
			w.every(2*time.Millisecond, 800, func(int) {
				c := w.client(address(1), 80, road)
				c.begin()
				c.receive(200, false)
			})
		}},
		{"requests, 10 connections at the pace of the answers", source(1), signal.RequestRate, 2 * time.Second, func(w *world) {
			for range 10 {
				c := w.client(address(1), 443, 2*time.Millisecond)
				c.connect(func() { w.busy(c, 3*time.Millisecond, 0) })
			}
		}},
		{"malformed, 50 a second", source(1), signal.Malformed, 2 * time.Second, func(w *world) {
			w.every(20*time.Millisecond, 500, func(int) { w.source(address(1)).Malformed++ })
		}},
		{"SYN flood of 10,000 addresses in 5 s", listener(443), signal.SYNFlood, 2 * time.Second, func(w *world) {
			w.every(500*time.Microsecond, 10_000, func(i int) {
				c := w.client(address(1000+i), 443, road)
				c.syn()
				if i%2 == 0 {
					w.after(300*time.Millisecond, func() { c.syn() })
				}
			})
		}},
		{"SYN flood over all ports", listener(0), signal.SYNFlood, 2 * time.Second, func(w *world) {
			w.every(time.Millisecond, 5000, func(i int) { w.client(address(1000+i), i, road).syn() })
		}},
		{"reflection", listener(0), signal.Reflection, 2 * time.Second, func(w *world) {
			w.every(5*time.Millisecond, 2000, func(int) { w.strays.Unsolicited++ })
		}},
		{"volume", listener(0), signal.Volume, 2 * time.Second, func(w *world) {
			w.every(time.Millisecond, 10_000, func(int) { w.strays.Other += 5 })
		}},
	}
}

// slow has n connections bring a request in pieces, after a first piece and some whole calls.
func slow(w *world, n int, first string, size, calls int, every time.Duration) {
	for i := range n {
		w.after(time.Duration(i)*5*time.Millisecond, func() {
			c := w.client(address(1), 443, road)
			c.first = first
			c.connect(func() {
				before(c, calls, func() {
					c.receive(size, false)
					w.every(every, 100, func(i int) {
						if i > 0 {
							c.receive(11, false)
						}
					})
				})
			})
		})
	}
}

// before does some whole calls.
func before(c *client, calls int, then func()) {
	if calls == 0 {
		then()
		return
	}
	c.call(time.Millisecond, func() { before(c, calls-1, then) })
}

// oneCall is a connection for a call.
func oneCall(w *world, from [16]byte, rtt time.Duration) {
	c := w.client(from, 443, rtt)
	c.connect(func() { c.call(5*time.Millisecond, c.close) })
}

// busy calls again and again, with a pause between.
func (w *world) busy(c *client, takes, pause time.Duration) {
	if c.done || w.now > w.start+uint64(5*time.Minute) {
		return
	}
	c.call(takes, func() { w.after(pause, func() { w.busy(c, takes, pause) }) })
}

// users are n connections of an address that call at times of their own.
func users(w *world, from [16]byte, n int, every, rtt time.Duration) {
	for i := range n {
		w.after(time.Duration(i)*every/time.Duration(n), func() {
			c := w.client(from, 443, rtt)
			c.connect(func() { w.busy(c, 10*time.Millisecond, every) })
		})
	}
}

// TestAttacks has each attack found in time, on its key and no other, whatever the phase of the ticks.
func TestAttacks(t *testing.T) {
	for _, a := range attacks() {
		t.Run(a.name, func(t *testing.T) {
			var times []time.Duration
			for phase := 50 * time.Millisecond; phase < time.Second; phase += 100 * time.Millisecond {
				w, began := play(t, phase, a.within+4*time.Second, a.script)
				found := time.Duration(-1)
				for _, f := range began {
					if f.Key != a.key {
						t.Errorf("%v flagged for %v", f.Key, f.Verdict.Signals)
					}
					if f.Key == a.key && found < 0 {
						found = f.after
					}
				}
				v := w.verdicts[a.key]
				if found < 0 || !signal.Set(v.Signals).Has(a.signal) {
					t.Fatalf("with ticks at %v: not found; verdict %+v", phase, v)
				}
				times = append(times, found)
			}
			slices.Sort(times)
			median := times[len(times)/2]
			t.Logf("found after %v (median), %v to %v", median, times[0], times[len(times)-1])
			if median > a.within {
				t.Errorf("median %v, want at most %v", median, a.within)
			}
		})
	}
}
