package stack_test

// keepAliveCalls: one call after another, of many sizes, with and without bodies. Each is an exchange.
func (tr *traffic) keepAliveCalls() {
	times(10, func(i int) {
		tr.open("keep-alive", either(i), func(c *talk) {
			for n := range 40 {
				size := (n*131 + i*977) % 7000
				var ok bool
				switch n % 4 {
				case 2:
					ok = c.post("exchange", "/insight/post", size*5)
				case 3:
					ok = c.get("exchange", "/insight/big?pad=40000", 0)
				default:
					ok = c.get("exchange", "/insight/get", size)
				}
				if !ok {
					return
				}
			}
		})
	})
}
