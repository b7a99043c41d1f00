package simulated

import "time"

// deploy: the gateway is restarted again and again. All connections end, SYNs are refused, everybody comes back at once, and
// the first calls are slow.
func deploy() Scenario {
	const every, away, cold = 10 * time.Minute, 3 * time.Second, 10 * time.Second
	const stay = time.Hour
	return Scenario{
		Name: "deploy restart", Time: stay,
		What: "200 people and 50 machines, half of them behind 10 addresses; every 10 min 3 s without a listener, then 10 s at +500 ms",
		play: func(w *world) {
			var shared []*host
			for range 10 {
				shared = append(shared, w.newHost(office()))
			}
			for i := range 250 {
				h := w.newHost(home())
				if i%2 == 0 {
					h = w.behind(shared[w.random.IntN(len(shared))], office())
				}
				if i < 50 {
					w.machine(h, 10*time.Second, stay)
				} else {
					w.person(h, 45*time.Second, stay)
				}
			}
			w.restarts(every, away, cold)
		},
	}
}

func (w *world) restarts(every, away, cold time.Duration) {
	w.after(every, func() {
		w.listening = false
		for c := range w.open {
			c.close()
		}
		w.after(away, func() { w.listening, w.slowness = true, 500*time.Millisecond })
		w.after(away+cold, func() { w.slowness = 0 })
		w.restarts(every, away, cold)
	})
}
