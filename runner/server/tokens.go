package server

import (
	"bytes"
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// tokenLife is how long a token holds after its last use: a worker of the gateway may hold one for 6,840 seconds.
	tokenLife = 2 * time.Hour
	// maxTokens bounds the configurations that are held, and maxConfBytes their texts and keys. When one of the bounds is reached, the
	// user who holds most loses the one used longest ago; the gateway prepares it anew when it comes with its token.
	maxTokens    = 16384
	maxConfBytes = 32 << 20
	// noUser is the user of tokens that another process gave out, until they are used.
	noUser = math.MaxUint32
)

// tokens are the prepared configurations by their numbers. A number is given out once: an earlier token is never made
// to mean another configuration. Each user has tokens of its own, also of the same configuration.
type tokens struct {
	now     func() time.Time
	next    func() (uint32, error) // a number that nobody else gives out
	evicted *atomic.Uint64

	mu      sync.Mutex
	byToken map[uint32]*prepare
	byConf  map[confKey]uint32
	holders map[uint32]*holder
	bytes   int // of all texts
}

// holder is what one user holds.
type holder struct {
	uid    uint32
	oldest *list.List // of *prepare, the one used longest ago first
	bytes  int
}

// prepare is a configuration with its number.
type prepare struct {
	rules   *rules
	text    prepared // as it came, for a process that takes over
	key     confKey
	holder  *holder
	at      *list.Element // of holder.oldest
	lastUse time.Time     // with Go's monotonic reading: a clock that is set ends no token
}

// confKey is the hash of a user, a key and its configuration: the same ones get the same token.
type confKey [sha256.Size]byte

func newTokens(next func() (uint32, error), now func() time.Time) *tokens {
	return &tokens{
		now: now, next: next, evicted: new(atomic.Uint64),
		byToken: make(map[uint32]*prepare), byConf: make(map[confKey]uint32), holders: make(map[uint32]*holder),
	}
}

// size returns the length of a configuration's encoding for a process that takes over.
func (p prepared) size() int {
	n := 12 + len(p.key)
	for _, e := range p.conf {
		n += 8 + len(e.name) + len(e.value)
	}
	return n
}

// hashConf hashes a user, a key and a configuration, each part with its length.
func hashConf(p prepared, uid uint32) confKey {
	hash := sha256.New()
	hash.Write(binary.BigEndian.AppendUint32(nil, uid))
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

// find returns what a token stands for; nil if it holds no more, or never did. One of no user becomes the user's.
func (t *tokens) find(token, uid uint32) *rules {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.byToken[token]
	if !ok {
		return nil
	}
	now := t.now()
	if now.Sub(p.lastUse) > tokenLife {
		t.remove(token, p)
		return nil
	}
	t.use(token, p, uid, now)
	return p.rules
}

// use makes a token the one that its user used last.
func (t *tokens) use(token uint32, p *prepare, uid uint32, now time.Time) {
	p.lastUse = now
	if p.holder.uid != noUser || uid == noUser {
		p.holder.oldest.MoveToBack(p.at)
		return
	}
	key := hashConf(p.text, uid)
	if _, twice := t.byConf[key]; twice { // it has been prepared meanwhile
		p.holder.oldest.MoveToBack(p.at)
		return
	}
	t.detach(p)
	delete(t.byConf, p.key)
	p.key = key
	t.byConf[key] = token
	t.attach(token, p, uid)
}

// known returns the token that a configuration of a user has.
func (t *tokens) known(p prepared, key confKey, uid uint32) (uint32, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
	token, ok := t.byConf[key]
	if !ok && t.holders[noUser] != nil {
		token, ok = t.byConf[hashConf(p, noUser)]
	}
	if !ok {
		return 0, false
	}
	t.use(token, t.byToken[token], uid, t.now())
	return token, true
}

// isAlone reports whether nobody but a user has tokens.
func (t *tokens) isAlone(uid uint32) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for other := range t.holders {
		if other != uid && other != noUser {
			return false
		}
	}
	return true
}

// sweep removes what holds no more. Each list is in the order of last use, so that it stops at the first that does.
func (t *tokens) sweep() {
	now := t.now()
	for _, h := range t.holders {
		for h.oldest.Len() > 0 {
			token, p := t.first(h)
			if now.Sub(p.lastUse) <= tokenLife {
				break
			}
			t.remove(token, p)
		}
	}
}

// first returns the token of a user that was used longest ago.
func (t *tokens) first(h *holder) (uint32, *prepare) {
	token := h.oldest.Front().Value.(uint32)
	return token, t.byToken[token]
}

// add gives a configuration of a user a token. When two ask at once for the same one, both get the first's.
func (t *tokens) add(key confKey, p prepared, r *rules, uid uint32) (uint32, error) {
	if token, ok := t.known(p, key, uid); ok {
		return token, nil
	}
	token, err := t.next()
	if err != nil {
		return 0, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if first, ok := t.byConf[key]; ok {
		return first, nil
	}
	t.put(token, key, p, r, uid)
	return token, nil
}

// put enters a token, and evicts others if there are too many. The text is copied: it lies in the frame.
func (t *tokens) put(token uint32, key confKey, p prepared, r *rules, uid uint32) {
	if same, ok := t.byToken[token]; ok { // given by a process before, and anew
		t.remove(token, same)
	}
	for len(t.byToken) >= maxTokens {
		t.evict(uid, func(h *holder) int { return h.oldest.Len() })
	}
	for t.bytes+p.size() > maxConfBytes {
		t.evict(uid, func(h *holder) int { return h.bytes })
	}
	text := prepared{key: bytes.Clone(p.key)}
	for _, e := range p.conf {
		text.conf = append(text.conf, entry{bytes.Clone(e.name), bytes.Clone(e.value)})
	}
	entered := &prepare{rules: r, text: text, key: key, lastUse: t.now()}
	t.byToken[token], t.byConf[key] = entered, token
	t.attach(token, entered, uid)
}

// evict removes the token used longest ago of the user who holds most; of those who hold the same, it is the one who enters.
func (t *tokens) evict(uid uint32, of func(*holder) int) {
	most := t.holders[uid]
	for _, h := range t.holders {
		if most == nil || of(h) > of(most) {
			most = h
		}
	}
	token, p := t.first(most)
	t.remove(token, p)
}

func (t *tokens) attach(token uint32, p *prepare, uid uint32) {
	h := t.holders[uid]
	if h == nil {
		h = &holder{uid: uid, oldest: list.New()}
		t.holders[uid] = h
	}
	p.holder, p.at = h, h.oldest.PushBack(token)
	h.bytes += p.text.size()
	t.bytes += p.text.size()
}

func (t *tokens) detach(p *prepare) {
	p.holder.oldest.Remove(p.at)
	p.holder.bytes -= p.text.size()
	t.bytes -= p.text.size()
	if p.holder.oldest.Len() == 0 {
		delete(t.holders, p.holder.uid)
	}
}

func (t *tokens) remove(token uint32, p *prepare) {
	t.detach(p)
	delete(t.byToken, token)
	if t.byConf[p.key] == token {
		delete(t.byConf, p.key)
	}
	t.evicted.Add(1)
}

// export returns all tokens that hold, the one used longest ago first.
func (t *tokens) export() []Token {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep()
	numbers := slices.SortedFunc(maps.Keys(t.byToken), func(a, b uint32) int { return t.byToken[a].lastUse.Compare(t.byToken[b].lastUse) })
	all := make([]Token, 0, len(numbers))
	for _, number := range numbers {
		p := t.byToken[number]
		token := Token{Number: number, Key: p.text.key}
		for _, e := range p.text.conf {
			token.Conf = append(token.Conf, [2][]byte{e.name, e.value})
		}
		all = append(all, token)
	}
	return all
}

// restore enters a token of another process, which belongs to no user until it is used.
func (t *tokens) restore(number uint32, p prepared, r *rules) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.put(number, hashConf(p, noUser), p, r, noUser)
}
