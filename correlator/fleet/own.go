package fleet

import (
	"cmp"
	"slices"
	"time"

	"fivetuple/correlator/flow"
)

const (
	// sayRate is how many bytes a second a gateway tells of its flags, over more than a few of them.
	sayRate = 256 << 10
	// repeatEvery is how often a gateway tells its list anew, so that whoever missed something learns of it.
	repeatEvery = uint64(30 * time.Second)
	// renewBefore is how long before its end a flag that goes on is told anew.
	renewBefore = maxAhead / 2
)

// Publication is what is to be written: first Whole to the key of flags, with FlagsTTL, then Changes to the channel; nil:
// nothing.
type Publication struct {
	Whole, Changes []byte
	// Began are the flags of this gateway that are new since the last publication, whether or not they are told to others.
	Began []Flag
}

// own is what this gateway holds, and what of it the others know.
type own struct {
	table   Table
	begun   uint64 // the first look at the table
	said    map[[16]byte]said
	number  int64
	next    uint64 // when more may be said, by sayRate
	repeats uint64 // when the list is told anew
}

// said is what was told of a source.
type said struct {
	verdict flow.Verdict
	until   uint64 // kernel's clock
}

// flagged is a source that this gateway holds flagged.
type flagged struct {
	address [16]byte
	verdict flow.Verdict
}

// Own takes what this host's table holds now, and returns what the others are to be told of it. The table must not be changed
// any more. What was returned counts as said: if it gets lost, the next repetition tells it.
func (b *Board) Own(now Moment, table Table) (p Publication, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.own.table
	b.own.table = table
	if b.own.begun == 0 {
		b.own.begun = now.Kernel
	}
	all := b.own.flagged(now.Kernel)
	b.counts.Unpublished = max(len(all)-maxFlags, 0)
	all = all[:min(len(all), maxFlags)]
	p.Began = b.own.began(now, before, all)
	if b.isOff() || now.Redis == 0 || now.Kernel < b.own.next {
		return p, nil
	}
	p.Whole, p.Changes, err = b.say(now, all)
	return p, err
}

// Repeat has the next Own tell the whole list: after Redis was away.
func (b *Board) Repeat() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.own.repeats = 0
}

// flagged returns what is held flagged here, the strongest first where there are too many: by the watcher or by people.
func (o *own) flagged(now uint64) (all []flagged) {
	for address, v := range o.table {
		if isFlagged(&v, now) {
			all = append(all, flagged{address, v})
		}
	}
	slices.SortFunc(all, func(a, b flagged) int {
		return cmp.Or(cmp.Compare(b.verdict.Score, a.verdict.Score), cmp.Compare(a.verdict.Since, b.verdict.Since),
			slices.Compare(a.address[:], b.address[:]))
	})
	return all
}

// isFlagged says whether a verdict of the table is told to others.
func isFlagged(v *flow.Verdict, now uint64) bool {
	return v.Score >= flagAt && v.Expires > now && (v.Origin == flow.OriginWatcher || v.Origin == flow.OriginManual)
}

// began returns the flags that were not there at the look before, nor when this process began.
func (o *own) began(now Moment, before Table, all []flagged) (began []Flag) {
	for i := range all {
		f := &all[i]
		was, ok := before[f.address]
		if known := ok && was.Since == f.verdict.Since && was.Score >= flagAt; !known && f.verdict.Since >= o.begun {
			began = append(began, newFlag(f.address, &f.verdict, now))
		}
	}
	return began
}
