package store

import "time"

// Kind is what a write does.
type Kind uint8

// The kinds of writes, in the order of Counts.Refused.
const (
	KindSet Kind = iota
	KindHSet
	KindXAdd
	KindPublish
	Kinds // how many there are
)

// String returns the command's name.
func (k Kind) String() string { return [...]string{"set", "hset", "xadd", "publish"}[k] }

const (
	// MaxValue is the largest value that is written or read, in bytes: half of what a server has to take (proto-max-bulk-len).
	MaxValue = 512 << 10
	// MaxTTL is the longest life of a key: a day after the last gateway nothing is left.
	MaxTTL = 24 * time.Hour

	// overhead is what a waiting write takes beside its texts, in bytes, about.
	overhead = 256
)

// name is what a later write of the same replaces.
type name struct {
	kind       Kind
	key, field string
}

// write is one write that waits. Its key lives until then, and so does the wish to write it.
type write struct {
	name
	value  []byte
	maxLen int64
	until  time.Time

	version uint64 // changes with the value
	gone    bool   // is in the queue no more
}

func (w *write) bytes() int { return overhead + len(w.key) + len(w.field) + len(w.value) }

// replaceable says whether a later write of the same name makes this one pointless.
func (w *write) replaceable() bool { return w.kind == KindSet || w.kind == KindHSet }
