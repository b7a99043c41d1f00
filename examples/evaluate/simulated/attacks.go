package simulated

import (
	"time"

	"fivetuple/correlator/flow"
)

// Attacks lists what is played in simulated time, to see how much it matters at which moment an attack begins.
func Attacks() []Attack {
	return []Attack{
		{"slow headers", "slow-headers", "50 connections, 12 bytes a second each", 1, func(w *world) { w.drip(120, 12, 0) }},
		{"slow body", "slow-body", "50 connections, 5 bytes a second each", 1, func(w *world) { w.drip(120, 5, 10_000) }},
		{"SYN flood, 1 address", "syn-flood", "2,000 SYNs/s", 1, func(w *world) { w.synFlood(1, 2000) }},
		{"SYN flood, 10,000 addresses", "syn-flood", "4,000 SYNs/s", 10_000, func(w *world) { w.synFlood(10_000, 4000) }},
		{"port scan", "port-scan", "100 ports/s", 1, func(w *world) { w.scan(100) }},
		{"HTTP flood, kept connections", "http-flood", "8 connections, each call right after the other", 1, func(w *world) { w.keptFlood(8) }},
		{"HTTP flood, new connections", "http-flood", "400 connections/s with a call each", 1, func(w *world) { w.newFlood(400) }},
		{"retransmission storm", "retransmission-storm", "4 connections, 8 KB bodies, each segment 20 times", 1, func(w *world) { w.storm(4, 20) }},
		{"SYN-ACK reflection", "reflection", "2,000 SYN-ACKs/s", 1000, func(w *world) {
			w.perSecond(2000, func(int) { w.strays.Unsolicited++ })
		}},
	}
}

// perSecond has something happen so many times a second, until the attack ends.
func (w *world) perSecond(n int, do func(i int)) {
	until := w.now + uint64(attackTime)
	i := 0
	var again func()
	again = func() {
		if w.now < until {
			do(i)
			i++
			w.after(time.Second/time.Duration(n), again)
		}
	}
	again()
}

// drip opens connections on which a request never is complete.
func (w *world) drip(begin, drop, body int) {
	const connections = 50
	h := w.newHost(home())
	h.tls = false
	for range connections {
		h.dial(gatewayPort, func(c *conn) {
			w.fixed.Request(w.now, h.address)
			if body == 0 {
				w.fixed.HeadBegan(w.now, c.key, h.address)
			}
			c.send(flow.RX, begin, nil, func() {
				w.perSecond(1, func(i int) {
					if i > 0 && !c.closed {
						c.send(flow.RX, drop, nil, func() {})
					}
				})
			})
		})
	}
}

func (w *world) synFlood(sources, perSecond int) {
	first := w.hosts
	hosts := make([]*host, sources)
	for i := range hosts {
		hosts[i] = w.newHost(home())
	}
	w.hosts = first + sources
	w.perSecond(perSecond, func(int) {
		c := hosts[w.random.IntN(sources)].newConn(gatewayPort)
		w.answer(c.takeSYN())
	})
}

func (w *world) scan(perSecond int) {
	h := w.newHost(home())
	w.perSecond(perSecond, func(i int) {
		h.newConn(uint16(i + 1)).refuse()
	})
}

// fast is a call that costs the gateway next to nothing.
func fast() *call {
	return &call{route: "api", method: "GET", head: 90, response: 300, serve: 2 * time.Millisecond}
}

func (w *world) keptFlood(connections int) {
	h := w.newHost(local())
	h.tls = false
	until := w.now + uint64(attackTime)
	for range connections {
		h.dial(gatewayPort, func(c *conn) {
			var next func()
			next = func() {
				if w.now < until {
					c.do(fast(), next)
				}
			}
			next()
		})
	}
}

func (w *world) newFlood(perSecond int) {
	h := w.newHost(local())
	h.tls = false
	w.perSecond(perSecond, func(int) {
		h.dial(gatewayPort, func(c *conn) {
			if c != nil {
				c.do(fast(), c.close)
			}
		})
	})
}

// storm makes calls whose every segment comes again and again.
func (w *world) storm(connections, times int) {
	h := w.newHost(home())
	h.tls = false
	until := w.now + uint64(attackTime)
	for range connections {
		h.dial(gatewayPort, func(c *conn) {
			var next func()
			next = func() {
				if w.now > until || c.closed {
					return
				}
				a := &call{route: "api", method: "POST", head: 200, body: 8000, response: 300, serve: 20 * time.Millisecond}
				c.do(a, func() { w.after(200*time.Millisecond, next) })
				for range times {
					c.later(h.trip(), func() { c.count(flow.RX, again, a.head+a.body, 0) })
				}
			}
			next()
		})
	}
}
