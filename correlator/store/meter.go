package store

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Skip is why a value that was read is not used.
type Skip uint8

// The reasons, in the order of Counts.Skipped.
const (
	SkipTooLarge Skip = iota // more bytes than such a value may have
	SkipForeign              // not of the expected type, or under a name that is none
	SkipVersion              // of a version that is not known here
	SkipDamaged              // anything else that is wrong
	SkipWindow               // a baseline's window of another length: the settings differ
	SkipThin                 // a baseline's window of fewer calls than one has here
	Skips                    // how many there are
)

// String names the reason.
func (s Skip) String() string {
	return [...]string{"too-large", "foreign", "version", "damaged", "window", "thin"}[s]
}

// Meter counts what this package does. The zero value is ready.
type Meter struct {
	// OnPanic is called with the first panic that was caught: its text, and where it was. It is set before the first command, or never.
	OnPanic func(cause, stack string)

	sent, replaced, dropped, expired, retried   atomic.Uint64
	refused                                     [Kinds]atomic.Uint64
	waiting, waitingBytes                       atomic.Int64
	skipped                                     [Skips]atomic.Uint64
	read                                        atomic.Uint64
	heard, unheard, connected                   atomic.Uint64
	lost, namesakes                             atomic.Uint64
	isNamesake                                  atomic.Bool
	commands, bytesSent, bytesReceived, dialled atomic.Uint64
	clockSteps                                  atomic.Uint64
	offset, offsetError                         atomic.Int64
	isClockKnown                                atomic.Bool
	gateways, leftOut                           atomic.Int64
	rejected, panics                            atomic.Uint64

	mu        sync.Mutex
	isUp      bool
	lastError string
	lastAt    time.Time
}

// Skipped counts a value that was read, and is not used.
func (m *Meter) Skipped(why Skip) { m.skipped[why].Add(1) }

// answered notes how the last command went. That a user may not do something, or that there is nothing, is an answer. A command that was
// given up here says nothing.
func (m *Meter) answered(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	m.note(outcomeOf(err) != notNow, err)
}

// failed notes a command without which this gateway is not in its fleet: Redis is of no use, whatever the error is.
func (m *Meter) failed(err error) {
	if !errors.Is(err, context.Canceled) {
		m.note(false, err)
	}
}

func (m *Meter) note(isUp bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.isUp = isUp
	if err != nil && outcomeOf(err) != arrived {
		m.lastError, m.lastAt = errorText(err), time.Now()
	}
}

// Attach counts a client's commands and bytes. It has to be called before the client's first command.
func (m *Meter) Attach(client redis.UniversalClient) {
	switch c := client.(type) {
	case *redis.ClusterClient:
		c.OnNewNode(func(node *redis.Client) { node.AddHook(traffic{m}) })
	default:
		c.AddHook(traffic{m})
	}
}
