package gateway

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

var errPrepareLock = errors.New("failed to acquire the lock: timeout")

// tokenDict is APISIX's shared dict of configuration tokens: one for all workers, an entry lives 3240 s.
// It is bounded by the number of routes and phases.
type tokenDict struct {
	mu     sync.Mutex
	tokens map[string]heldToken
	// prepare is held while a PrepareConf is under way: one at a time in the whole gateway.
	prepare chan struct{}
}

type heldToken struct {
	token   uint32
	expires time.Time
}

func newTokenDict() *tokenDict {
	return &tokenDict{tokens: make(map[string]heldToken), prepare: make(chan struct{}, 1)}
}

func (d *tokenDict) get(key string, now time.Time) (uint32, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	held, ok := d.tokens[key]
	if !ok || !now.Before(held.expires) {
		return 0, false
	}
	return held.token, true
}

func (d *tokenDict) set(key string, token uint32, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tokens[key] = heldToken{token: token, expires: now.Add(dictTTL)}
}

func (d *tokenDict) flush() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.tokens)
}

// lock waits until no other PrepareConf is under way, at most prepareLockTimeout.
func (d *tokenDict) lock(ctx context.Context) error {
	wait := time.NewTimer(prepareLockTimeout)
	defer wait.Stop()
	select {
	case d.prepare <- struct{}{}:
		return nil
	case <-wait.C:
		return errPrepareLock
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *tokenDict) unlock() { <-d.prepare }

// tokenLRU is what one worker remembers without asking the dict: 8 keys, 3600 s each from the moment it
// learned them, so that a token may be used for up to 6840 s. The least recently used key makes room.
type tokenLRU struct {
	mu      sync.Mutex
	order   *list.List // of lruEntry, most recently used first
	entries map[string]*list.Element
}

type lruEntry struct {
	key  string
	held heldToken
}

func newTokenLRU() *tokenLRU {
	return &tokenLRU{order: list.New(), entries: make(map[string]*list.Element)}
}

func (l *tokenLRU) get(key string, now time.Time) (uint32, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.entries[key]
	if !ok {
		return 0, false
	}
	held := at.Value.(lruEntry).held
	l.order.MoveToFront(at)
	if !now.Before(held.expires) {
		return 0, false
	}
	return held.token, true
}

func (l *tokenLRU) set(key string, token uint32, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	value := lruEntry{key: key, held: heldToken{token: token, expires: now.Add(lruTTL)}}
	if at, ok := l.entries[key]; ok {
		at.Value = value
		l.order.MoveToFront(at)
		return
	}
	if l.order.Len() >= lruEntries {
		last := l.order.Back()
		l.order.Remove(last)
		delete(l.entries, last.Value.(lruEntry).key)
	}
	l.entries[key] = l.order.PushFront(value)
}

func (l *tokenLRU) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.order.Init()
	clear(l.entries)
}
