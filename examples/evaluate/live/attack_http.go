package live

import (
	"context"
	"errors"
	"sync"
	"time"

	"fivetuple/examples/stack"
)

func floods() []Attack {
	return []Attack{
		{
			Name: "HTTP flood, kept connections", Kind: "http-flood", Sources: 1, Time: 10 * time.Second,
			Rate: "8 connections, each call right after the other",
			Twin: "many users behind one address share it among many connections, none at a machine's pace; a batch client only by its rate",
			play: func(ctx context.Context, _ *scene, p *player) error {
				return workers(8, func() { p.visit(ctx, new(tally), 0, func(int) []byte { return stack.Get(route+"flood", 0) }) })
			},
		},
		{
			Name: "HTTP flood, new connections", Kind: "http-flood", Sources: 1, Time: 10 * time.Second,
			Rate: "16 at once, a connection for each call",
			Twin: "clients without keep-alive and health checks open some connections a second, not hundreds",
			play: func(ctx context.Context, s *scene, p *player) error {
				return workers(16, func() {
					_ = s.Lab.Client.Do(func() error { // there once, not once a connection
						for ctx.Err() == nil {
							p.callOnce(ctx)
						}
						return nil
					})
				})
			},
		},
		{
			Name: "retransmission storm", Kind: "retransmission-storm", Sources: 1, Time: 10 * time.Second,
			Rate: "4 connections, 8 KB bodies, each segment 20 times",
			Twin: "on a road that loses 2 % the gateway sees what was lost once, and late; only what had arrived and comes again counts",
			play: storm,
		},
	}
}

// workers runs a function so many times at once.
func workers(n int, work func()) error {
	var wg sync.WaitGroup
	for range n {
		wg.Go(work)
	}
	wg.Wait()
	return nil
}

// callOnce makes one call on a connection of its own.
func (p *player) callOnce(ctx context.Context) {
	conn, err := p.dialHere(ctx)
	if err != nil {
		pause(ctx, 5*time.Millisecond)
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	_, _ = stack.NewClient(conn).Do(stack.Get(route+"flood", 0)) // it may be refused, or not answered
	stop()
	_ = conn.Close()
}

func storm(ctx context.Context, s *scene, p *player) error {
	r, err := s.repeater(p.address, 20)
	if err != nil {
		return err
	}
	repeating := make(chan error, 1)
	go func() { repeating <- r.run(ctx) }()
	err = workers(4, func() {
		p.visit(ctx, new(tally), 200*time.Millisecond, func(int) []byte { return stack.Post(route+"storm", 8000) })
	})
	return errors.Join(err, <-repeating)
}
