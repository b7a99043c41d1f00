package simulated

import "time"

// api is what the clients of a gateway call.
type api struct {
	posts    float64 // share of calls with a body
	body     int     // median bytes
	response int
	serve    time.Duration // median
}

func plainAPI() api { return api{posts: 0.2, body: 800, response: 3000, serve: 30 * time.Millisecond} }

// draw returns one of its calls.
func (a *api) draw(w *world) *call {
	c := &call{
		route: "api", method: "GET", head: w.size(700, 0.5, 120, 7000),
		response: w.size(float64(a.response), 1.3, 150, 2<<20), serve: time.Duration(w.lognormal(float64(a.serve), 0.9)),
	}
	if w.random.Float64() < a.posts {
		c.method, c.body = "POST", w.size(float64(a.body), 1.2, 20, 1<<20)
	}
	return c
}

// keepAliveTime is how long the gateway keeps an idle connection (nginx: keepalive_timeout, 60 s here as in APISIX).
const keepAliveTime = time.Minute

// user is a person with a browser or an app: screens, each some calls on a few connections, and time to read.
type user struct {
	host  *host
	api   api
	think time.Duration // mean
	calls float64       // a screen, median
	most  int           // connections at once
	free  []*conn
	count int // of connections
	queue []*call
	left  int // calls of the screen that have no answer yet
	until uint64
}

// begin lets a user come at a random moment of the first thinking time.
func (u *user) begin() {
	u.host.w.after(time.Duration(u.host.w.random.Float64()*float64(u.think)), u.screen)
}

func (u *user) screen() {
	w := u.host.w
	if w.now > u.until {
		return
	}
	n := w.size(u.calls, 0.8, 1, 60)
	for range n {
		u.queue = append(u.queue, u.api.draw(w))
	}
	u.left = n
	u.spend()
}

// spend gives the calls of the queue to connections.
func (u *user) spend() {
	for len(u.queue) > 0 && len(u.free) > 0 {
		c := u.free[len(u.free)-1]
		u.free = u.free[:len(u.free)-1]
		if c.closed {
			u.count--
			continue
		}
		u.make(c)
	}
	for missing := min(len(u.queue), u.most-u.count); missing > 0; missing-- {
		u.count++
		u.host.dial(gatewayPort, u.dialled)
	}
}

func (u *user) dialled(c *conn) {
	if c == nil { // refused: the app tries again
		u.count--
		u.host.w.after(time.Second+u.host.w.pause(time.Second), u.spend)
		return
	}
	c.expire()
	u.make(c)
}

// make has a connection make the next call.
func (u *user) make(c *conn) {
	if len(u.queue) == 0 {
		u.free = append(u.free, c)
		return
	}
	a := u.queue[0]
	u.queue = u.queue[1:]
	c.onClose = func() { // its answer does not come: again, on another connection
		u.count--
		u.queue = append(u.queue, a)
		u.host.w.after(time.Second+u.host.w.pause(time.Second), u.spend)
	}
	c.do(a, func() {
		c.onClose = nil
		u.left--
		u.make(c)
		if u.left == 0 {
			u.host.w.after(u.host.w.pause(u.think), u.screen)
		}
	})
}

const gatewayPort = 9080

// expire closes the connection when it has been idle for too long.
func (c *conn) expire() {
	c.later(keepAliveTime, func() {
		if c.onClose == nil && c.w.now-c.used >= uint64(keepAliveTime)-uint64(time.Millisecond) {
			c.close()
			return
		}
		c.expire()
	})
}
