package lab

import (
	"testing"
	"time"
)

func TestDelayQueue(t *testing.T) {
	now := time.Unix(0, 0)
	q := delayQueue{capacity: 3}
	if _, ok := q.wait(now); ok {
		t.Error("an empty queue has a frame")
	}
	if frame, _ := q.pop(now); frame != nil {
		t.Error("an empty queue gave a frame")
	}
	for _, f := range []struct {
		name string
		in   time.Duration
		want bool
	}{{"b", 5, true}, {"c", 5, true}, {"a", 4, true}, {"full", 1, false}} {
		if got := q.push([]byte(f.name), now.Add(f.in)); got != f.want {
			t.Errorf("push %s: %v", f.name, got)
		}
	}
	if wait, ok := q.wait(now); !ok || wait != 4 {
		t.Errorf("the first frame is due in %v (%v)", wait, ok)
	}
	if frame, _ := q.pop(now.Add(3)); frame != nil {
		t.Errorf("%s left before it was due", frame)
	}
	for n, want := range []string{"a", "b", "c"} {
		if frame, late := q.pop(now.Add(6)); string(frame) != want || late != []time.Duration{2, 1, 1}[n] {
			t.Errorf("frame %d: %s, late by %v, want %s", n, frame, late, want)
		}
	}
}
