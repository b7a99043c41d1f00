package simulated

import (
	"time"

	"fivetuple/correlator/flow"
)

// healthChecks: many short connections at a steady pace, some without a byte, and a monitor that knows a dozen ports.
func healthChecks() Scenario {
	const stay = time.Hour
	return Scenario{
		Name: "health checks", Time: stay,
		What: "40 probes that connect, ask and close every 2 s, 20 that only connect, 20 that keep their connection; a monitor of 12 ports every 10 s",
		play: func(w *world) {
			for i := range 80 {
				h := w.newHost(local())
				h.tls = h.tls && i < 40
				switch {
				case i < 40:
					w.every(2*time.Second, func() { h.probe(gatewayPort, true) })
				case i < 60:
					w.every(2*time.Second, func() { h.probe(gatewayPort, false) })
				default:
					w.machine(h, 2*time.Second, stay)
				}
			}
			monitor := w.newHost(local())
			w.every(10*time.Second, func() {
				for port := range uint16(12) {
					monitor.probe(gatewayPort+port, false)
				}
			})
		},
	}
}

// every has something happen again and again, from a random moment on.
func (w *world) every(d time.Duration, do func()) {
	var again func()
	again = func() { do(); w.after(d, again) }
	w.after(time.Duration(w.random.Float64()*float64(d)), again)
}

// probe connects, asks if wanted, and closes.
func (h *host) probe(port uint16, asks bool) {
	h.dial(port, func(c *conn) {
		if c == nil {
			return
		}
		if !asks {
			c.record.Conn.Dir[flow.RX].Flags |= flagRST // as load balancers do
			c.close()
			return
		}
		c.do(&call{route: "health", method: "GET", head: 110, response: 180, serve: 2 * time.Millisecond}, c.close)
	})
}
