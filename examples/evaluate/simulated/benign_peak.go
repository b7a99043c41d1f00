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
