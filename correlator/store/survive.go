package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/redis/go-redis/v9"
)

// errPanic is what a command fails with in whose course something panicked: nothing that a server answers may end the process.
var errPanic = errors.New("panic")

// maxStack is how much of a panic's stack is logged, in bytes.
const maxStack = 2 << 10

// caught counts a panic, and returns it as an error. The first one is logged.
func (m *Meter) caught(cause any) error {
	err := fmt.Errorf("%w: %v", errPanic, cause)
	if m.panics.Add(1) == 1 && m.OnPanic != nil {
		stack := debug.Stack()
		m.OnPanic(errorText(err), string(stack[:min(len(stack), maxStack)]))
	}
	return err
}

// Survive runs a part until it returns. One that panics is run again, after the pause that follows a failed try, until the context is
// done.
func (m *Meter) Survive(ctx context.Context, part func(context.Context)) {
	for tries := 1; ; tries++ {
		began := time.Now()
		err := m.try(func() { part(ctx) })
		if err == nil || ctx.Err() != nil {
			return
		}
		m.answered(err)
		if time.Since(began) > 2*maxBackoff {
			tries = 1
		}
		pause(ctx, backoff(tries))
	}
}

// try runs a function, and returns what it panicked with.
func (m *Meter) try(f func()) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = m.caught(cause)
		}
	}()
	f()
	return nil
}

// command runs a command, or a pipeline, in whose course a panic is an error of all that have none. go-redis has thrown the connection away by then. It is run
// in a goroutine of go-redis, too, of which there is one for each node of a Cluster.
func (m *Meter) command(cmds []redis.Cmder, run func() error) error {
	var err error
	if panicked := m.try(func() { err = run() }); panicked != nil {
		err = panicked
		for _, cmd := range cmds {
			if cmd.Err() == nil {
				cmd.SetErr(err)
			}
		}
	}
	return err
}
