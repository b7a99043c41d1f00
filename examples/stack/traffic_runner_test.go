package stack_test

// retryCalls: the runner loses its tokens between the calls, so that the gateway asks it again.
func (tr *traffic) retryCalls() {
	talks := make([]*talk, 20)
	times(len(talks), func(i int) { talks[i] = tr.dial("token retry", either(i), rules{}) })
	tr.rounds(talks, 5, func(c *talk, n int) {
		c.get("exchange", "/insight/get", 20*n)
	}, func() { tr.runner.losesTokens(tr.ctx) })
}

// restartCalls: the runner ends after the second call of each connection, and another is started. What came before is
// unknown to that one. The call that had not ended is cut, or lost with a runner that was killed.
func (tr *traffic) restartCalls(kind string, again func(), secondOnes ending) {
	talks := make([]*talk, 15)
	times(len(talks), func(i int) { talks[i] = tr.dial(kind, either(i), rules{}) })
	secure := make([]*talk, 15)
	times(len(secure), func(i int) { secure[i] = tr.dialTLS(kind+", TLS", either(i), clientTLS("http/1.1")) })
	wants := []string{"exchange", "exchange" + secondOnes.mark, "shared", "exchange"}
	tlsWants := []string{"exchange;tls;handshake", "exchange;tls" + secondOnes.mark, "shared;tls", "exchange;tls"}
	tr.rounds(append(talks, secure...), len(wants), func(c *talk, n int) {
		want := wants[n]
		if c.rules.tls {
			want = tlsWants[n]
		}
		c.get(want, "/insight/get", 20*n)
		c.calls[n].lost = n == 1 && secondOnes.lost
	}, func() {
		if len(talks[0].calls) == 2 {
			again()
		}
	})
	tr.runner.await(tr)
}

// ending is what becomes of a call that had not ended when its runner did.
type ending struct {
	mark string
	lost bool
}

// restartedHTTP2 is restartCalls over HTTP/2. Which packets belong to the calls after the restart, the new runner can tell
// only from where it is asked first.
func (tr *traffic) restartedHTTP2(kind string, again func(), secondOnes ending) {
	talks := make([]*http2Talk, 6)
	times(len(talks), func(i int) { talks[i] = tr.dialHTTP2(kind, either(i), rules{tls: i%2 == 1, midway: true}) })
	for n, mark := range []string{"", secondOnes.mark, "", ""} {
		if n == 2 {
			again()
		}
		times(len(talks), func(i int) {
			c := talks[i]
			if c == nil {
				return
			}
			want := "connection" + mark
			if c.rules.tls {
				want = "connection;tls" + mark
			}
			c.stream(want, n)
			c.calls[n].lost = n == 1 && secondOnes.lost
		})
	}
	for _, c := range talks {
		if c != nil {
			_ = c.Close()
		}
	}
	tr.runner.await(tr)
}
