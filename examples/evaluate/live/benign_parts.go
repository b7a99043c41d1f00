package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"fivetuple/examples/stack"
)

// upload is a body of a gibibyte, as fast as it goes.
func upload() part {
	const length = 1 << 30
	return part{
		name: "1 GiB upload", what: "one body over veth, as fast as the gateway takes it", sources: 1,
		play: func(ctx context.Context, p *player, t *tally) error {
			// It goes on beyond the set's time: half an upload would be none.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			conn, err := p.dial(ctx)
			if err != nil {
				return err
			}
			defer conn.Close()
			head := fmt.Sprintf("POST %supload HTTP/1.1\r\nHost: gateway\r\nContent-Length: %d\r\n\r\n", route, length)
			if _, err := conn.Write([]byte(head)); err != nil {
				return err
			}
			if _, err := io.CopyN(conn, zeros{}, length); err != nil {
				return err
			}
			answer, err := stack.NewClient(conn).Receive("POST")
			t.calls.Add(1)
			if answer.Status == statusRefused {
				t.refused.Add(1)
			}
			if err == nil && answer.Echo.Body != length {
				err = fmt.Errorf("%w: the upstream got %d of %d bytes", errShort, answer.Echo.Body, length)
			}
			return err
		},
	}
}

var errShort = errors.New("not the whole body")

// zeros are as many as somebody wants.
type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func longPolling() part {
	return part{
		name: "long polling", what: "40 clients, each with one call under way that is answered after 6 s", sources: 1,
		play: func(ctx context.Context, p *player, t *tally) error {
			return workers(40, func() {
				p.visit(ctx, t, 0, func(int) []byte { return stack.Get(route+"poll?wait=6s", 0) })
			})
		},
	}
}

func healthChecks() part {
	return part{
		name: "health checks", what: "10 probes that connect, ask and close, or only connect and reset, by turns, every 500 ms", sources: 1,
		play: func(ctx context.Context, p *player, t *tally) error {
			return workers(10, func() {
				p.probe(ctx, func(c net.Conn) { t.tryCall(ctx, stack.NewClient(c), stack.Get(route+"health", 0)) })
			})
		},
	}
}

// probe connects once a second.
func (p *player) probe(ctx context.Context, ask func(net.Conn)) {
	for i := 0; ctx.Err() == nil; i++ {
		if conn, err := p.dial(ctx); err == nil {
			if tcp, ok := conn.(*net.TCPConn); ok && i%2 == 1 {
				_ = tcp.SetLinger(0) // a reset, as load balancers send
			} else {
				stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
				ask(conn)
				stop()
			}
			_ = conn.Close()
		}
		pause(ctx, 500*time.Millisecond)
	}
}

func sharedAddress() part {
	return part{
		name: "many users, 1 address", what: "60 connections of one address, each a call every 250 ms", sources: 1,
		play: func(ctx context.Context, p *player, t *tally) error {
			p.honest(ctx, t, 60)
			return nil
		},
	}
}

// restart ends the gateway and starts it again, twice.
func restart() part {
	return part{
		name: "deploy restart", what: "20 kept connections; the gateway restarts twice", sources: 1,
		play: func(ctx context.Context, p *player, t *tally) error {
			var wg sync.WaitGroup
			wg.Go(func() { p.honest(ctx, t, 20) })
			var err error
			for range 2 {
				pause(ctx, 4*time.Second)
				err = errors.Join(err, p.s.RestartGateway(context.WithoutCancel(ctx)))
			}
			wg.Wait()
			return err
		},
	}
}

func mobileClients() part {
	return part{
		name: "mobile clients", what: "60 connections, 600 ms round trip, 2 % loss each way, a call a second", sources: 1,
		play: func(ctx context.Context, p *player, t *tally) error {
			return workers(60, func() {
				p.visit(ctx, t, time.Second, func(n int) []byte {
					if n%3 == 2 {
						return stack.Post(route+"mobile", 500+n*997%20000)
					}
					return stack.Get(route+"mobile?pad=4000", 200)
				})
			})
		},
	}
}
