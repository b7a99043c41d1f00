package simulated

import "time"

// mobileClients: a long road that loses packets.
func mobileClients() Scenario {
	const stay = 40 * time.Minute
	return Scenario{
		Name: "mobile clients", Time: stay, What: "300 people, 600 ms round trip, 2 % loss each way, 2 Mbit/s",
		play: func(w *world) { w.people(300, mobile(), 30*time.Second, stay) },
	}
}

// sharedAddress: everybody behind one NAT.
func sharedAddress() Scenario {
	const stay = 40 * time.Minute
	return Scenario{
		Name: "1,000 users, 1 address", Time: stay, What: "1,000 people behind one address, each with up to 6 connections",
		play: func(w *world) {
			nat := w.newHost(office())
			for range 1000 {
				w.person(w.behind(nat, home()), 30*time.Second, stay)
			}
		},
	}
}

// longPolling: answers that take up to 30 s.
func longPolling() Scenario {
	const stay, longest = 20 * time.Minute, 30 * time.Second
	return Scenario{
		Name: "long polling", Time: stay, What: "1,500 clients, each with one call under way that is answered after 15 s in the mean, 30 s at most",
		play: func(w *world) {
			for i := range 1500 {
				r := home()
				if i%5 == 0 {
					r = mobile()
				}
				w.poller(w.newHost(r), longest)
			}
		},
	}
}

// poller asks again as soon as it has been answered.
func (w *world) poller(h *host, longest time.Duration) {
	a := call{route: "events", method: "GET", head: 500, response: 400}
	var poll func(c *conn)
	poll = func(c *conn) {
		next := a
		next.serve = min(w.pause(longest*2/3), longest)
		c.do(&next, func() { poll(c) })
	}
	w.after(w.pause(longest), func() { h.dial(gatewayPort, poll) })
}

// uploads: bodies of a gibibyte, beside people.
func uploads() Scenario {
	const stay = 40 * time.Minute
	return Scenario{
		Name: "1 GiB upload", Time: stay, What: "40 people on the route, and 30 uploads of 1 GiB, at 4 to 30 MB/s, one of three on a road with 0.2 % loss",
		play: func(w *world) {
			w.people(40, home(), 20*time.Second, stay)
			for i := range 30 {
				r := office()
				if i%3 == 0 {
					r = home()
				}
				h := w.newHost(r)
				h.rate = max(h.rate, 4e6)
				w.after(time.Duration(i)*time.Minute, func() {
					h.dial(gatewayPort, func(c *conn) {
						a := call{route: "api", method: "POST", head: 600, body: 1 << 30, response: 300, serve: time.Second}
						c.do(&a, c.close)
					})
				})
			}
		},
	}
}
