package watch_test

import (
	"testing"
	"time"

	"fivetuple/correlator/flow"
	"fivetuple/correlator/watch"
)

var options = watch.Options{Enabled: true, Keep: time.Minute, Flows: 16384}

// flagged is a flag, and when it began.
type flagged struct {
	watch.Event
	after time.Duration // of the world's start
}

// play runs a script and the watcher, whose ticks have a phase, and returns the flags that began.
func play(t *testing.T, phase, length time.Duration, script func(*world)) (*world, []flagged) {
	t.Helper()
	w := newWorld()
	watcher, err := watch.New(options)
	if err != nil {
		t.Fatal(err)
	}
	w.after(0, func() { script(w) })
	var began []flagged
	for at := w.start + uint64(phase); at <= w.start+uint64(length); at += uint64(time.Second) {
		w.run(at)
		w.sweepOld()
		report, err := watcher.Tick(w.now, w)
		if err != nil {
			t.Fatal(err)
		}
		w.apply(report)
		for _, e := range report.Began {
			began = append(began, flagged{e, time.Duration(w.now - w.start)})
		}
	}
	return w, began
}

func source(n int) flow.VerdictKey {
	return flow.VerdictKey{Address: address(n), Kind: flow.VerdictSource}
}

func listener(port uint16) flow.VerdictKey {
	k := flow.VerdictKey{Kind: flow.VerdictListener, Port: port}
	if port != 0 {
		k.Address = gateway
	}
	return k
}
