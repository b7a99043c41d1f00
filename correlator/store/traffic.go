package store

import (
	"context"
	"errors"
	"net"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// traffic counts what a client sends and receives, and keeps a panic to the command in whose course it happens.
type traffic struct{ meter *Meter }

// DialHook implements redis.Hook.
func (t traffic) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := next(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		t.meter.dialled.Add(1)
		if raw, ok := c.(syscall.Conn); ok { // by which the pool sees that a connection is closed
			return struct {
				countingConn
				syscall.Conn
			}{countingConn{c, t.meter}, raw}, nil
		}
		return countingConn{c, t.meter}, nil
	}
}

// ProcessHook implements redis.Hook.
func (t traffic) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		t.meter.commands.Add(1)
		return t.meter.command([]redis.Cmder{cmd}, func() error { return next(ctx, cmd) })
	}
}

// ProcessPipelineHook implements redis.Hook.
func (t traffic) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		t.meter.commands.Add(uint64(len(cmds)))
		return t.meter.command(cmds, func() error { return next(ctx, cmds) })
	}
}

// countingConn counts a connection's bytes.
type countingConn struct {
	net.Conn
	meter *Meter
}

// Read implements net.Conn.
func (c countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.meter.bytesReceived.Add(uint64(max(n, 0)))
	if err != nil && errors.Is(err, ErrReply) {
		c.meter.rejected.Add(1)
	}
	return n, err
}

// Write implements net.Conn.
func (c countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.meter.bytesSent.Add(uint64(max(n, 0)))
	return n, err
}
