package fleet

import (
	"net/netip"
	"time"

	"fivetuple/correlator/flow"
)

// say returns what has changed since it was last told, with the whole list; nothing, if nothing has.
func (b *Board) say(now Moment, all []flagged) (whole, changes []byte, err error) {
	o := &b.own
	change := Flags{Head: newHead(), Instance: b.instance, Flags: []Flag{}}
	next := make(map[[16]byte]said, len(all))
	for i := range all {
		f := &all[i]
		was, ok := o.said[f.address]
		if ok && !was.isOutdated(&f.verdict, now.Kernel) {
			next[f.address] = was
			continue
		}
		next[f.address] = said{f.verdict, min(f.verdict.Expires, now.Kernel+uint64(maxAhead))}
		change.Flags = append(change.Flags, newFlag(f.address, &f.verdict, now))
	}
	for address := range o.said {
		if _, ok := next[address]; !ok {
			change.Gone = append(change.Gone, netip.AddrFrom16(address).Unmap())
		}
	}
	n := len(change.Flags) + len(change.Gone)
	if n == 0 && now.Kernel < o.repeats {
		return nil, nil, nil
	}
	if n > 0 {
		o.number++
	}
	list := Flags{Head: newHead(), Instance: b.instance, Number: o.number, Flags: make([]Flag, 0, len(all))}
	for i := range all {
		list.Flags = append(list.Flags, newFlag(all[i].address, &all[i].verdict, now))
	}
	change.Number = o.number
	if whole, err = Encode(&list); err != nil {
		return nil, nil, err
	}
	if changes, err = Encode(&change); err != nil {
		return nil, nil, err
	}
	o.said, o.repeats = next, now.Kernel+repeatEvery
	o.next = now.Kernel + uint64(len(whole)+len(changes))*uint64(time.Second)/sayRate
	b.counts.Told += uint64(n)
	return whole, changes, nil
}

// isOutdated says whether something else counts than what was told, or what was told ends before it.
func (s *said) isOutdated(v *flow.Verdict, now uint64) bool {
	return *v != s.verdict || v.Expires > s.until && now+uint64(renewBefore) > s.until
}
