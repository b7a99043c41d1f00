package store

import (
	"fmt"
	"testing"
	"time"
)

func set(key, value string, until time.Time) *write {
	return &write{name: name{KindSet, key, ""}, value: []byte(value), until: until}
}

func texts(batch []sending) (all []string) {
	for _, s := range batch {
		all = append(all, s.key+"="+string(s.value))
	}
	return all
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func no(int) time.Duration { return 0 }

func TestQueueDropsOldest(t *testing.T) {
	m, now := new(Meter), time.Now()
	q := newQueue(3, m)
	for i := range 5 {
		q.put(set(fmt.Sprint(i), "v", now.Add(time.Hour)))
	}
	batch, _ := q.take(now)
	equal(t, "what waits", texts(batch), "[2=v 3=v 4=v]")
	equal(t, "dropped, waiting", []any{m.dropped.Load(), m.waiting.Load()}, "[2 3]")
}

func TestQueueBoundsBytes(t *testing.T) {
	m, now := new(Meter), time.Now()
	q := newQueue(maxQueue, m)
	const n = 100
	for i := range n {
		q.put(set(fmt.Sprint(i), string(make([]byte, MaxValue)), now.Add(time.Hour)))
	}
	if waiting := m.waitingBytes.Load(); waiting > maxQueueBytes || waiting < maxQueueBytes-2*MaxValue {
		t.Errorf("%d bytes wait", waiting)
	}
	if sum := m.dropped.Load() + uint64(m.waiting.Load()); sum != n || m.dropped.Load() == 0 {
		t.Errorf("%d dropped, %d wait", m.dropped.Load(), m.waiting.Load())
	}
	for m.waiting.Load() > 0 {
		batch, _ := q.take(now)
		if len(batch) == 0 || len(batch) > maxBatchBytes/MaxValue {
			t.Fatalf("%d of %d bytes each at once", len(batch), MaxValue)
		}
		q.settle(now, batch, make([]outcome, len(batch)), no)
	}
	equal(t, "bytes of nothing", m.waitingBytes.Load(), 0)
}

func TestQueueReplaces(t *testing.T) {
	m, now := new(Meter), time.Now()
	q := newQueue(10, m)
	later := now.Add(time.Hour)
	q.put(set("a", "1", later))
	q.put(set("b", "1", later))
	q.put(set("a", "22", later))
	q.put(&write{name: name{KindPublish, "a", ""}, until: later})
	q.put(&write{name: name{KindPublish, "a", ""}, until: later})
	q.put(&write{name: name{KindHSet, "a", "f"}, until: later})
	q.put(&write{name: name{KindHSet, "a", "g"}, until: later})
	batch, _ := q.take(now)
	equal(t, "what waits", texts(batch), "[a=22 b=1 a= a= a= a=]")
	equal(t, "replaced", m.replaced.Load(), 1)

	q.put(set("a", "333", later)) // while it is being sent
	q.settle(now, batch, make([]outcome, len(batch)), no)
	batch, _ = q.take(now)
	equal(t, "what waits then", texts(batch), "[a=333]")
	q.settle(now, batch, make([]outcome, len(batch)), no)
	equal(t, "bytes of nothing", []any{m.waitingBytes.Load(), len(q.named)}, "[0 0]")
}

func TestQueueDropsWhatIsBeingSent(t *testing.T) {
	m, now := new(Meter), time.Now()
	q := newQueue(1, m)
	later := now.Add(time.Hour)
	q.put(set("a", "1", later))
	batch, _ := q.take(now)
	q.put(set("b", "1", later))
	q.settle(now, batch, make([]outcome, 1), no)
	batch, _ = q.take(now)
	equal(t, "what waits", texts(batch), "[b=1]")
	equal(t, "dropped, sent", []any{m.dropped.Load(), m.sent.Load()}, "[1 1]")
}

func TestQueueForgetsWhatHasLivedOut(t *testing.T) {
	m, now := new(Meter), time.Now()
	q := newQueue(10, m)
	q.put(set("a", "1", now.Add(time.Second)))
	q.put(set("b", "1", now.Add(time.Minute)))
	batch, _ := q.take(now.Add(time.Second))
	equal(t, "what waits", texts(batch), "[b=1]")
	equal(t, "expired", m.expired.Load(), 1)
}

// TestQueuePutsOff: what can't be written now waits, the rest goes on, and each gets its turn.
func TestQueuePutsOff(t *testing.T) {
	m, now := new(Meter), time.Now()
	q := newQueue(10, m)
	later := now.Add(time.Hour)
	delay := func(tries int) time.Duration { return time.Duration(tries) * time.Second }
	for _, key := range []string{"a", "b", "c", "d"} {
		q.put(set(key, "1", later))
	}
	step := func(after time.Duration, want string, wait time.Duration, outcomes ...outcome) {
		t.Helper()
		batch, gotWait := q.take(now.Add(after))
		equal(t, "what is sent after "+after.String(), texts(batch), want)
		equal(t, "wait after "+after.String(), gotWait, wait)
		q.settle(now.Add(after), batch, outcomes, delay)
	}
	step(0, "[a=1 b=1 c=1 d=1]", 0, notNow, arrived, notNow, refused)
	step(0, "[]", time.Second)
	q.put(set("e", "1", later))
	q.put(set("a", "2", later))
	step(100*time.Millisecond, "[e=1]", 900*time.Millisecond, arrived)
	step(time.Second, "[a=2 c=1]", 0, arrived, notNow)
	q.put(set("f", "1", later))
	step(1500*time.Millisecond, "[f=1]", 1500*time.Millisecond, notNow) // the second time takes longer
	step(3*time.Second, "[]", 500*time.Millisecond)
	step(3500*time.Millisecond, "[c=1 f=1]", 0, unspoken, unspoken)
	step(3500*time.Millisecond, "[c=1 f=1]", 0, arrived, arrived)
	equal(t, "tries after all went well", q.later.tries, 0)
	equal(t, "retried, refused, sent", []any{m.retried.Load(), m.refused[KindSet].Load(), m.sent.Load()}, "[6 1 5]")
}

// TestQueuePutsOffForSoLong: a stream of writes that all have to wait does not keep the first ones from being tried again.
func TestQueuePutsOffForSoLong(t *testing.T) {
	m, now := new(Meter), time.Now()
	q := newQueue(1000, m)
	tried := 0
	for i := range 100 {
		q.put(set(fmt.Sprint(i), "1", now.Add(time.Hour)))
		batch, _ := q.take(now)
		for _, s := range batch {
			if s.key == "0" {
				tried++
			}
		}
		all := make([]outcome, len(batch))
		for i := range all {
			all[i] = notNow
		}
		q.settle(now, batch, all, func(int) time.Duration { return maxBackoff })
		now = now.Add(time.Second)
	}
	if tried < 9 || tried > 12 {
		t.Errorf("the first was tried %d times in 100 s", tried)
	}
}

// TestQueueDropsWhatWasPutOff keeps track of what is left.
func TestQueueDropsWhatWasPutOff(t *testing.T) {
	m, now := new(Meter), time.Now()
	q := newQueue(2, m)
	later := now.Add(time.Hour)
	q.put(set("a", "1", later))
	q.put(set("b", "1", later))
	batch, _ := q.take(now)
	q.settle(now, batch, []outcome{notNow, notNow}, backoff)
	for _, key := range []string{"c", "d", "e"} { // a and b make room, then c
		q.put(set(key, "1", later))
	}
	batch, wait := q.take(now)
	equal(t, "what is sent", texts(batch), "[d=1 e=1]")
	equal(t, "wait", wait, time.Duration(0))
	equal(t, "dropped", m.dropped.Load(), 3)
}

func TestBackoff(t *testing.T) {
	for _, tries := range []int{1, 2, 6, 7, 1 << 40} {
		full := min(100*time.Millisecond<<min(tries-1, 10), 5*time.Second)
		for range 100 {
			if d := backoff(tries); d < full/2 || d > full {
				t.Fatalf("%v after %d tries, want %v..%v", d, tries, full/2, full)
			}
		}
	}
}
