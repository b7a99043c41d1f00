package stack_test

// phaseCalls: the plugin runs in both phases of a route. Both are one call.
func (tr *traffic) phaseCalls() {
	times(10, func(i int) {
		tr.open("pre-req and post-req", either(i), func(c *talk) {
			for n := range 10 {
				var ok bool
				if n%2 == 1 {
					ok = c.post("exchange", "/both/post", 900*n)
				} else {
					ok = c.get("exchange", "/both/get", 100*n)
				}
				if !ok {
					return
				}
			}
		})
	})
}

// unseenCalls: calls on routes without the plugin in between. Their packets are with the call before them, which says so.
func (tr *traffic) unseenCalls() {
	times(20, func(i int) {
		tr.open("routes without the plugin", either(i), func(c *talk) {
			_ = c.get("exchange", "/insight/1", 0) &&
				c.get("shared;missed=1", "/insight/2", 30) && c.get("", "/plain/3", 10*i) &&
				c.get("exchange;missed=1", "/insight/4", 0) &&
				c.post("shared;missed=2", "/insight/5", 2000) && c.post("", "/plain/6", 2000) && c.get("", "/plain/7", 0) &&
				c.post("exchange;missed=2", "/insight/8", 300) &&
				c.get("exchange", "/insight/9", 0)
		})
		tr.open("routes without the plugin", either(i), func(c *talk) { // what the last one's figures are, nobody can tell
			_ = c.get("", "/plain/1", 0) && c.get("shared", "/insight/2", 0) && c.get("shared", "/insight/3", 5) &&
				c.get("", "/plain/4", 0)
		})
	})
}
