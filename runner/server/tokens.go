package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// tokenLife is how long a token holds after its last use: a worker of the gateway may hold one for 6,840 seconds.
	tokenLife = 2 * time.Hour
	// maxTokens bounds the configurations that are held. The one used longest ago makes room; the gateway prepares it
	// anew when it comes with its token.
	maxTokens = 16384
)

// tokens are the prepared configurations by their numbers. A number is given out once: an earlier token is never made
// to mean another configuration.
type tokens struct {
	now     func() time.Time
	next    func() (uint32, error) // a number that nobody else gives out
	evicted *atomic.Uint64

	mu      sync.Mutex
	byToken *simplelru.LRU[uint32, *prepare]
	byConf  map[confKey]uint32
}

// prepare is a configuration with its number.
type prepare struct {
	rules   *rules
	text    prepared // as it came, for a process that takes over
	key     confKey
	lastUse time.Time // with Go's monotonic reading: a clock that is set ends no token
}

// confKey is the hash of a key and its configuration: the same ones get the same token.
type confKey [sha256.Size]byte

func newTokens(next func() (uint32, error), now func() time.Time) *tokens {
	t := &tokens{now: now, next: next, evicted: new(atomic.Uint64), byConf: make(map[confKey]uint32)}
	// The size is valid, so there is no error.
	t.byToken, _ = simplelru.NewLRU(maxTokens, func(_ uint32, p *prepare) {
		delete(t.byConf, p.key)
		t.evicted.Add(1)
	})
	return t
}

// hashConf hashes a key and a configuration, each part with its length.
func hashConf(p prepared) confKey {
	hash := sha256.New()
	write := func(b []byte) {
		hash.Write(binary.BigEndian.AppendUint32(nil, uint32(len(b))))
		hash.Write(b)
	}
	write(p.key)
	for _, e := range p.conf {
		write(e.name)
		write(e.value)
	}
	var key confKey
	hash.Sum(key[:0])
	return key
}

// find returns what a token stands for; nil if it holds no more, or never did.
func (t *tokens) find(token uint32) *rules {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.byToken.Get(token)
	if !ok {
		return nil
	}
	now := t.now()
	if now.Sub(p.lastUse) > tokenLife {
		t.byToken.Remove(token)
		return nil
	}
	p.lastUse = now
	return p.rules
}

// known returns the token that a key and configuration have.
func (t *tokens) known(key confKey) (uint32, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
	token, ok := t.byConf[key]
	if !ok {
		return 0, false
	}
	p, ok := t.byToken.Get(token)
	if !ok {
		return 0, false
	}
	p.lastUse = t.now()
	return token, true
}

// sweep removes what holds no more. The list is in the order of last use, so that it stops at the first that does.
func (t *tokens) sweep() {
	now := t.now()
	for {
		_, p, ok := t.byToken.GetOldest()
		if !ok || now.Sub(p.lastUse) <= tokenLife {
			return
		}
		t.byToken.RemoveOldest()
	}
}

// add gives a configuration a token. When two ask at once for the same one, both get the first's.
func (t *tokens) add(key confKey, p prepared, r *rules) (uint32, error) {
	if token, ok := t.known(key); ok {
		return token, nil
	}
	token, err := t.next()
	if err != nil {
		return 0, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if first, ok := t.byConf[key]; ok && t.byToken.Contains(first) {
		return first, nil
	}
	t.put(token, key, p, r)
	return token, nil
}

// put enters a token. The text is copied: it lies in the frame.
func (t *tokens) put(token uint32, key confKey, p prepared, r *rules) {
	text := prepared{key: bytes.Clone(p.key)}
	for _, e := range p.conf {
		text.conf = append(text.conf, entry{bytes.Clone(e.name), bytes.Clone(e.value)})
	}
	t.byToken.Add(token, &prepare{rules: r, text: text, key: key, lastUse: t.now()})
	t.byConf[key] = token
}

// export returns all tokens that hold, the one used longest ago first.
func (t *tokens) export() []Token {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
	all := make([]Token, 0, t.byToken.Len())
	for _, number := range t.byToken.Keys() {
		p, _ := t.byToken.Peek(number)
		token := Token{Number: number, Key: p.text.key}
		for _, e := range p.text.conf {
			token.Conf = append(token.Conf, [2][]byte{e.name, e.value})
		}
		all = append(all, token)
	}
	return all
}

// restore enters a token of another process.
func (t *tokens) restore(number uint32, p prepared, r *rules) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.put(number, hashConf(p), p, r)
}
