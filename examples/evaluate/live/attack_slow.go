package live

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

const (
	// drips is how many connections drip, and dripEvery the time between two drops of one.
	drips     = 50
	dripEvery = time.Second
)

func slow() []Attack {
	return []Attack{
		{
			Name: "slow headers", Kind: "slow-headers", Sources: 1, Time: 20 * time.Second,
			Rate: "50 connections, 12 bytes a second each",
			Twin: "a long poll or a spare connection is silent; a bad road brings one request slowly, not most of an address' at a time",
			play: func(ctx context.Context, _ *scene, p *player) error {
				return p.drip(ctx, "GET "+route+" HTTP/1.1\r\nHost: gateway\r\n", "X-A: bcdefg\r\n")
			},
		},
		{
			Name: "slow body", Kind: "slow-body", Sources: 1, Time: 20 * time.Second,
			Rate: "50 connections, 5 bytes a second each",
			Twin: "an upload on a bad road brings kilobytes a second; a meter that writes now and then is one connection of its address",
			play: func(ctx context.Context, _ *scene, p *player) error {
				return p.drip(ctx, "POST "+route+" HTTP/1.1\r\nHost: gateway\r\nContent-Length: 10000\r\n\r\n", "abcde")
			},
		},
	}
}

// drip opens connections, sends a beginning on each, and goes on by drops that never make it whole.
func (p *player) drip(ctx context.Context, begin, drop string) error {
	var wg sync.WaitGroup
	errs := make([]error, drips)
	for i := range drips {
		wg.Go(func() {
			conn, err := p.dial(ctx)
			if err != nil {
				errs[i] = unlessOver(ctx, err)
				return
			}
			defer conn.Close()
			dripOn(ctx, conn, begin, drop)
		})
		pause(ctx, 2*time.Millisecond)
	}
	wg.Wait()
	return errors.Join(errs...)
}

func dripOn(ctx context.Context, conn net.Conn, begin, drop string) {
	if _, err := conn.Write([]byte(begin)); err != nil {
		return
	}
	for ctx.Err() == nil {
		pause(ctx, dripEvery)
		if _, err := conn.Write([]byte(drop)); err != nil {
			return // the gateway has had enough
		}
	}
}

// unlessOver returns an error, unless it came because the scene is over.
func unlessOver(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
