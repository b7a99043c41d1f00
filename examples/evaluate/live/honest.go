package live

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"fivetuple/examples/stack"
)

// tally is what calls came to.
type tally struct{ calls, refused, failed atomic.Int64 }

// route is the gateway's that has packet-guard, and refuses.
const route = "/enforced/"

// statusRefused is packet-guard's by default.
const statusRefused = 429

// visit makes calls on one connection, with pauses, until the context ends, and connects again when that ends.
func (p *player) visit(ctx context.Context, t *tally, every time.Duration, request func(i int) []byte) {
	for i := 0; ctx.Err() == nil; {
		conn, err := p.dial(ctx)
		if err != nil {
			pause(ctx, 200*time.Millisecond)
			continue
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		for c := stack.NewClient(conn); ctx.Err() == nil; i++ {
			if !t.tryCall(ctx, c, request(i)) {
				break
			}
			pause(ctx, every)
		}
		stop()
		_ = conn.Close()
	}
}

// tryCall makes a call, and returns whether the connection is good for another. That all ends is no failure.
func (t *tally) tryCall(ctx context.Context, c *stack.Client, request []byte) bool {
	answer, err := c.Do(request)
	if err != nil && ctx.Err() != nil {
		return false
	}
	t.calls.Add(1)
	if err != nil && answer.Status == statusRefused {
		t.refused.Add(1)
		return true
	}
	if err != nil {
		t.failed.Add(1)
	}
	return err == nil
}

// honest makes calls as clients do: on kept connections, each some a second, and on new ones.
func (p *player) honest(ctx context.Context, t *tally, connections int) {
	var wg sync.WaitGroup
	for i := range connections {
		wg.Go(func() {
			pause(ctx, time.Duration(i)*30*time.Millisecond)
			p.visit(ctx, t, 250*time.Millisecond, func(n int) []byte {
				if n%4 == 3 {
					return stack.Post(route+"honest", 200+n*37%3000)
				}
				return stack.Get(route+"honest", 100+n*53%700)
			})
		})
	}
	wg.Go(func() {
		for ctx.Err() == nil {
			if conn, err := p.dial(ctx); err == nil {
				stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
				t.tryCall(ctx, stack.NewClient(conn), stack.Get(route+"short", 50))
				stop()
				_ = conn.Close()
			}
			pause(ctx, time.Second)
		}
	})
	wg.Wait()
}
