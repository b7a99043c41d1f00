package simulated

import "time"

// peak: ten times as many people, and machines ten times as busy, from one second to the next.
func peak() Scenario {
	const before, during = 40 * time.Minute, 10 * time.Minute
	return Scenario{
		Name: "10x peak", Time: before + during,
		What: "30 people, then 300; 10 machines with 2 calls/s each, then 20; a batch client on 1 connection, then on 10",
		play: func(w *world) {
			w.people(30, home(), 20*time.Second, before+during)
			machines := make([]*host, 10)
			for i := range machines {
				machines[i] = w.newHost(office())
				w.machine(machines[i], 500*time.Millisecond, before+during)
			}
			batch := w.newHost(office())
			w.machine(batch, 0, before+during)
			w.after(before, func() {
				w.people(270, home(), 20*time.Second, during)
				for range 9 {
					for _, m := range machines {
						w.machine(m, 500*time.Millisecond, during)
					}
					w.machine(batch, 0, during)
				}
			})
		},
	}
}

// batch: a job of one address that calls as fast as it is answered, on many connections. It differs from a flood only by its
// rate, so that a flag is nothing to wonder at; its calls must go through.
func batch() Scenario {
	const stay, from, took = 15 * time.Minute, 2 * time.Minute, 10 * time.Minute
	return Scenario{
		Name: "batch job", Time: stay, What: "40 people; for 10 min a job of one address on 32 connections, each call right after the other",
		play: func(w *world) {
			w.people(40, home(), 20*time.Second, stay)
			job := w.newHost(office())
			w.after(from, func() {
				for range 32 {
					w.machine(job, 0, took)
				}
			})
		},
	}
}

// machine makes calls on one connection, with a pause between them, for a time.
func (w *world) machine(h *host, pause, stay time.Duration) {
	until := w.now + uint64(stay)
	plain := plainAPI()
	var begin func()
	begin = func() {
		h.dial(gatewayPort, func(c *conn) {
			if c == nil {
				w.after(time.Second, begin)
				return
			}
			var next func()
			next = func() {
				if w.now > until {
					c.close()
					return
				}
				c.do(plain.draw(w), func() { w.after(w.pause(pause), next) })
			}
			c.onClose = func() { w.after(time.Second, begin) }
			next()
		})
	}
	w.after(w.pause(time.Second), begin)
}
