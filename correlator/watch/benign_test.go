package watch_test

import (
	"math/rand/v2"
	"testing"
	"time"
)

// benign is what must not be flagged.
type benign struct {
	name   string
	length time.Duration
	calls  int // at least
	script func(*world)
}

const far = 600 * time.Millisecond // a bad mobile network's round trip

func benigns() []benign {
	return []benign{
		{"ten times the peak", time.Minute, 100_000, func(w *world) {
			for i := range 300 {
				users(w, address(i), 2, 130*time.Millisecond, road)
			}
		}},
		{"ten times the peak, without keep-alive", time.Minute, 100_000, func(w *world) {
			for i := range 100 {
				w.after(time.Duration(i)*time.Millisecond, func() {
					w.every(50*time.Millisecond, 1100, func(int) { oneCall(w, address(i), road) })
				})
			}
		}},
		{"restart: refused for 3 s, then all at once", time.Minute, 100_000, func(w *world) {
			for i := range 2000 {
				restarting(w, address(i/4), road)
			}
		}},
		{"restart, a thousand mobile users behind one address", time.Minute, 20_000, func(w *world) {
			for range 1000 {
				restarting(w, address(1), far)
			}
		}},
		{"mobile, 2 % loss", time.Minute, 50_000, func(w *world) {
			for i := range 2000 {
				mobile(w, address(i))
			}
		}},
		{"mobile, 2 % loss, a thousand behind one address", time.Minute, 20_000, func(w *world) {
			for range 1000 {
				mobile(w, address(1))
			}
		}},
		{"a thousand users behind one address", 2 * time.Minute, 100_000, func(w *world) {
			users(w, address(1), 1000, time.Second, 50*time.Millisecond)
		}},
		{"a thousand users behind one address, without keep-alive, a call in 10 s", 2 * time.Minute, 10_000, func(w *world) {
			w.every(10*time.Millisecond, 12_000, func(int) { oneCall(w, address(1), 50*time.Millisecond) })
		}},
		{"long polling with keep-alives", 5 * time.Minute, 1000, func(w *world) {
			for i := range 1000 {
				w.after(time.Duration(i)*3*time.Millisecond, func() { polling(w, address(i/100)) })
			}
		}},
		{"slow answers for a minute", 2 * time.Minute, 1000, func(w *world) {
			for i := range 1000 {
				c := w.client(address(i/100), 443, road)
				c.connect(func() { w.busy(c, time.Minute, time.Second) })
			}
		}},
		{"uploads of 1 GiB, over roads of any width", time.Minute, 0, func(w *world) {
			for i := range 30 {
				upload(w, address(1), time.Duration(1<<(i/3))*time.Millisecond)
			}
		}},
		{"health checks", 5 * time.Minute, 5000, func(w *world) {
			for i := range 10 {
				for port := 1; port <= 3; port++ {
					w.every(time.Second, 300, func(int) {
						c := w.client(address(i), 8000+port, time.Millisecond)
						c.connect(func() { c.call(time.Millisecond, c.close) })
					})
				}
			}
		}},
		{"health checks without a request, of many ports", 5 * time.Minute, 0, func(w *world) {
			for port := range 200 {
				w.every(5*time.Second, 60, func(int) {
					c := w.client(address(1), 8000+port, time.Millisecond)
					c.connect(c.close)
				})
			}
		}},
		{"messages of WebSockets that nobody answers", time.Minute, 0, func(w *world) {
			for range 200 {
				c := w.client(address(1), 443, road)
				c.answer = "HTTP/1.1 101 Switching"
				c.connect(func() {
					c.call(time.Millisecond, func() { w.every(2*time.Second, 30, func(int) { c.receive(20, false) }) })
				})
			}
		}},
		{"the gateway's own connections to its upstream, 1000 a second", time.Minute, 50_000, func(w *world) {
			w.every(time.Millisecond, 60_000, func(int) {
				c := w.client(address(9), 443, time.Millisecond)
				c.begin()
				c.record.Conn.Dir[1].Known = 1 << 3
				c.call(2*time.Millisecond, c.close)
			})
		}},
		{"a machine that calls as fast as it is answered, on one connection", time.Minute, 20_000, func(w *world) {
			c := w.client(address(1), 443, time.Millisecond)
			c.connect(func() { w.busy(c, time.Millisecond, 0) })
		}},
		{"spare connections that stay", time.Minute, 0, func(w *world) {
			for range 2000 {
				c := w.client(address(1), 443, road)
				c.connect(func() {})
			}
		}},
	}
}

// restarting is a client whose service restarts, and refuses for 3 s.
func restarting(w *world, from [16]byte, rtt time.Duration) {
	var again func()
	again = func() {
		c := w.client(from, 443, rtt)
		if w.now < w.start+uint64(13*time.Second) {
			c.refuse(c.syn())
			w.after(rtt+200*time.Millisecond, again)
			return
		}
		c.connect(func() { w.busy(c, 10*time.Millisecond, 400*time.Millisecond) })
	}
	c := w.client(from, 443, rtt)
	c.connect(func() { w.busy(c, 10*time.Millisecond, time.Second) })
	w.after(10*time.Second, func() { c.close(); again() })
}

// mobile is a client that loses a packet of 50, and sends it again after a second, then two.
func mobile(w *world, from [16]byte) {
	lost := func() bool { return rand.IntN(50) == 0 }
	w.after(time.Duration(rand.IntN(5000))*time.Millisecond, func() {
		c := w.client(from, 443, far)
		delay := far
		for wait := time.Second; lost(); wait *= 2 { // the SYN-ACK
			delay += wait
		}
		c.rtt = delay
		c.connect(func() {
			c.rtt = far
			mobileCall(w, c, lost)
		})
	})
}

// mobileCall sends a request of three segments, each on its own way.
func mobileCall(w *world, c *client, lost func() bool) {
	var last time.Duration
	for i := range 3 {
		at := time.Duration(i) * 20 * time.Millisecond
		for wait := 1200 * time.Millisecond; lost(); wait *= 2 {
			at += wait
		}
		last = max(last, at)
		w.after(at, func() { c.receive(500, false) })
	}
	w.after(last+10*time.Millisecond, func() {
		c.respond(1000)
		w.after(far+400*time.Millisecond, func() {
			if w.now < w.start+uint64(time.Minute) {
				mobileCall(w, c, lost)
			}
		})
	})
}

// polling asks by two segments, waits two minutes for an answer, and keeps the connection alive by a byte of old data.
func polling(w *world, from [16]byte) {
	c := w.client(from, 443, road)
	c.connect(func() {
		c.receive(1400, false)
		c.receive(300, false)
		w.every(45*time.Second, 3, func(i int) {
			if i > 0 {
				c.keepAlive()
			}
		})
		w.after(2*time.Minute, func() {
			c.respond(1000)
			w.after(time.Second, func() { w.busy(c, time.Minute, time.Second) })
		})
	})
}

// upload sends segments for a minute, a time between two.
func upload(w *world, from [16]byte, every time.Duration) {
	c := w.client(from, 443, road)
	c.first = "PUT / HTTP/1.1\r\n"
	c.connect(func() { w.every(every, int(time.Minute/every), func(int) { c.receive(1400, false) }) })
}

// TestBenign has nobody flagged.
func TestBenign(t *testing.T) {
	for _, b := range benigns() {
		t.Run(b.name, func(t *testing.T) {
			w, began := play(t, 300*time.Millisecond, b.length, b.script)
			for _, f := range began {
				t.Errorf("%v flagged after %v: %v %v", f.Key, f.after, f.Verdict.Score, f.Verdict.Signals)
			}
			t.Logf("%d calls", w.calls)
			if w.calls < b.calls {
				t.Errorf("%d calls, want %d at least: too few to tell", w.calls, b.calls)
			}
		})
	}
}
