package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// sentinels finds the primary by asking Sentinels at each new connection, and closes connections to what is the primary no more. go-redis'
// own client for Sentinels reads what they answer in goroutines of its own, where an answer of an unexpected length ends the process.
type sentinels struct {
	o        Options
	password string

	mu    sync.Mutex
	conns map[*primaryConn]struct{}
	stop  func() // ends watch, which runs while there are connections
}

// primaryConn is a connection to a primary.
type primaryConn struct {
	net.Conn
	address string
	of      *sentinels
}

// dial connects to the primary.
func (s *sentinels) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	address, err := s.primary(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := s.o.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &primaryConn{conn, address, s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns[c] = struct{}{}; len(s.conns) == 1 {
		var watched context.Context
		watched, s.stop = context.WithCancel(context.Background())
		go s.watch(watched)
	}
	if raw, ok := conn.(syscall.Conn); ok { // by which the pool sees that a connection is closed
		return struct {
			*primaryConn
			syscall.Conn
		}{c, raw}, nil
	}
	return c, nil
}

// Close implements net.Conn.
func (c *primaryConn) Close() error {
	s := c.of
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.conns[c]; ok {
		if delete(s.conns, c); len(s.conns) == 0 {
			s.stop()
		}
	}
	return c.Conn.Close()
}

// watchFor is how long one subscription to a Sentinel lasts without a word of another primary.
const watchFor = 10 * time.Second

// watch closes connections to what is the primary no more, until the context is done. It asks another Sentinel each time.
func (s *sentinels) watch(ctx context.Context) {
	for tries, at := 1, 0; ctx.Err() == nil; tries, at = tries+1, at+1 {
		if s.listen(ctx, s.o.Addresses[at%len(s.o.Addresses)]) {
			tries = 0
			continue
		}
		pause(ctx, backoff(tries))
	}
}

// listen subscribes to one Sentinel, and reports whether it was reachable.
func (s *sentinels) listen(ctx context.Context, sentinel string) (wasThere bool) {
	defer func() { _ = recover() }() // another one is asked
	client := redis.NewSentinelClient(s.options(sentinel))
	defer client.Close()
	sub := client.Subscribe(ctx, "+switch-master")
	defer sub.Close()
	stop := context.AfterFunc(ctx, func() { _ = sub.Close() })
	defer stop()
	for {
		message, err := sub.ReceiveTimeout(ctx, watchFor)
		if err != nil {
			timeout, ok := errors.AsType[net.Error](err)
			return wasThere && ok && timeout.Timeout()
		}
		wasThere = true
		switch m := message.(type) {
		case *redis.Subscription: // one may have been missed
			if address, err := s.primary(ctx); err == nil {
				s.keep(address)
			}
		case *redis.Message: // NAME, the old address and port, the new ones
			if words := strings.Fields(m.Payload); len(words) == 5 && words[0] == s.o.Master {
				s.keep(net.JoinHostPort(words[3], words[4]))
			}
		}
	}
}

// keep closes the connections to others than the primary; what uses them gets an error, and connects anew.
func (s *sentinels) keep(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.address != address {
			_ = c.Conn.Close() // it is removed by the one who uses it
		}
	}
}

// primary returns the address that the first Sentinel answers.
func (s *sentinels) primary(ctx context.Context) (string, error) {
	type answer struct {
		address string
		err     error
	}
	answers := make(chan answer, len(s.o.Addresses))
	var asked sync.WaitGroup
	defer asked.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, sentinel := range s.o.Addresses {
		asked.Go(func() {
			var a answer
			a.address, a.err = s.ask(ctx, sentinel)
			answers <- a
		})
	}
	var errs []error
	for range s.o.Addresses {
		a := <-answers
		if a.err == nil {
			return a.address, nil
		}
		errs = append(errs, a.err)
	}
	return "", fmt.Errorf("find the primary %s: %w", s.o.Master, errors.Join(errs...))
}

// ask asks one Sentinel.
func (s *sentinels) ask(ctx context.Context, sentinel string) (address string, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("ask Sentinel %s: %w: %v", sentinel, errPanic, cause)
		}
	}()
	client := redis.NewSentinelClient(s.options(sentinel))
	defer client.Close()
	parts, err := client.GetMasterAddrByName(ctx, s.o.Master).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return "", fmt.Errorf("ask Sentinel %s: it knows no primary of this name (redis.master)", sentinel)
	case err != nil:
		return "", fmt.Errorf("ask Sentinel %s: %w", sentinel, err)
	case len(parts) != 2:
		return "", fmt.Errorf("ask Sentinel %s: %w: %d parts of an address", sentinel, ErrReply, len(parts))
	}
	return net.JoinHostPort(parts[0], parts[1]), nil
}

// options are those of the client of a Sentinel.
func (s *sentinels) options(sentinel string) *redis.Options {
	options := s.o.base()
	options.Addrs, options.Username, options.Password = []string{sentinel}, s.o.Sentinel.Username, s.password
	return options.Simple()
}
