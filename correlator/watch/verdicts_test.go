package watch_test

import (
	"testing"
	"time"

	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
	"fivetuple/correlator/watch"
)

// steps runs a watcher on a world by hand.
type steps struct {
	*world
	t       *testing.T
	watcher *watch.Watcher
}

func newSteps(t *testing.T, o watch.Options) *steps {
	t.Helper()
	watcher, err := watch.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return &steps{newWorld(), t, watcher}
}

// tick lets a second pass, in which an address sends malformed packets.
func (s *steps) tick(malformed int, from ...[16]byte) watch.Report {
	s.t.Helper()
	s.run(s.now + uint64(time.Second))
	for _, a := range from {
		s.source(a).Malformed += uint32(malformed)
	}
	r, err := s.watcher.Tick(s.now, s.world)
	if err != nil {
		s.t.Fatal(err)
	}
	s.apply(r)
	return r
}

// TestVerdictsEnd has a verdict renewed while its reason lasts, and gone a minute after, and not later.
func TestVerdictsEnd(t *testing.T) {
	s := newSteps(t, options)
	began, writes := s.now, 0
	for i := range 180 {
		r := s.tick(160, address(1))
		writes += len(r.Changes)
		if v, ok := s.verdicts[source(1)]; !ok || v.Expires < s.now+uint64(44*time.Second) || v.Expires > s.now+uint64(time.Minute) {
			t.Fatalf("second %d: verdict %+v, now %d", i, v, s.now)
		}
		if i > 0 && len(r.Began)+len(r.Ended) != 0 {
			t.Fatalf("second %d: began %v, ended %v", i, r.Began, r.Ended)
		}
	}
	if v := s.verdicts[source(1)]; v.Since != began+uint64(time.Second) || v.Origin != flow.OriginWatcher || v.Score < 900 {
		t.Errorf("verdict %+v", v)
	}
	if writes > 25 {
		t.Errorf("%d writes in 180 s: a verdict is renewed when a quarter of its time is gone", writes)
	}
	last := s.now
	for ended := 0; ; {
		ended += len(s.tick(0).Ended)
		if _, ok := s.verdicts[source(1)]; !ok {
			if ended != 1 {
				t.Errorf("%d ends were told", ended)
			}
			break
		}
		if s.now > last+uint64(90*time.Second) {
			t.Fatal("the verdict outlives its reason")
		}
	}
	// The kernel's counts fade, so that the reason itself lasts some seconds.
	if lasted := time.Duration(s.now - last); lasted < time.Minute || lasted > 95*time.Second {
		t.Errorf("the verdict lasted %v more", lasted)
	}
}

// TestSignalsEndAlone has a signal go whose reason is gone, while the verdict stays for another.
func TestSignalsEndAlone(t *testing.T) {
	s := newSteps(t, options)
	for port := range 40 {
		c := s.client(address(1), 1000+port, road)
		c.refuse(c.syn())
	}
	s.tick(160, address(1))
	if got := signal.Set(s.verdicts[source(1)].Signals); got != signal.Of(signal.PortScan, signal.Malformed) {
		t.Fatalf("signals %v", got)
	}
	for range 90 {
		s.tick(160, address(1))
	}
	if got := signal.Set(s.verdicts[source(1)].Signals); got != signal.Of(signal.Malformed) {
		t.Errorf("signals %v after 90 s", got)
	}
}

// TestManualVerdicts are not touched, be they flags or pardons, until they have expired.
func TestManualVerdicts(t *testing.T) {
	for _, score := range []uint16{0, 1000} {
		s := newSteps(t, options)
		for range 3 {
			s.tick(160, address(1))
		}
		manual := flow.Verdict{Since: s.now, Expires: s.now + uint64(30*time.Second), Score: score, Origin: flow.OriginManual}
		s.verdicts[source(1)] = manual
		if r := s.tick(160, address(1)); len(r.Ended) != 1 || r.Flagged != 0 {
			t.Errorf("the watcher's verdict did not end: %+v", r)
		}
		for s.now < manual.Expires-uint64(time.Second) {
			if s.tick(160, address(1)); s.verdicts[source(1)] != manual {
				t.Fatalf("the manual verdict became %+v", s.verdicts[source(1)])
			}
		}
		s.tick(160, address(1))
		s.tick(160, address(1))
		if v := s.verdicts[source(1)]; v.Origin != flow.OriginWatcher {
			t.Errorf("verdict %+v behind the manual one's end", v)
		}
	}
}

// TestLeftVerdicts: those that an earlier agent left go when they expire, and not before.
func TestLeftVerdicts(t *testing.T) {
	s := newSteps(t, options)
	left := flow.Verdict{Expires: s.now + uint64(10*time.Second), Score: 700, Origin: flow.OriginWatcher}
	s.verdicts[source(7)] = left
	for s.now < left.Expires-uint64(time.Second) {
		s.tick(0)
		if s.verdicts[source(7)] != left {
			t.Fatal("gone too soon")
		}
	}
	s.tick(0)
	if len(s.verdicts) != 0 {
		t.Errorf("left: %v", s.verdicts)
	}
}

// TestTrusted addresses are never judged.
func TestTrusted(t *testing.T) {
	o := options
	o.Trusted = []string{"10.0.0.0/31", "2001:db8::1"}
	s := newSteps(t, o)
	s.tick(160, address(1), address(2))
	if _, ok := s.verdicts[source(2)]; !ok || len(s.verdicts) != 1 {
		t.Errorf("verdicts %v", s.verdicts)
	}
}

// TestClock: a tick at the time of the last does nothing, one without a time before neither.
func TestClock(t *testing.T) {
	s := newSteps(t, options)
	s.tick(160, address(1))
	r, err := s.watcher.Tick(s.now, s.world)
	if err != nil || len(r.Changes) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestOptionsRefused holds the messages.
func TestOptionsRefused(t *testing.T) {
	for _, c := range []struct {
		o    watch.Options
		want string
	}{
		{watch.Options{Keep: time.Second, Flows: 1024}, "keep: 1s is not in 10s..1h0m0s"},
		{watch.Options{Keep: time.Minute, Flows: 1}, "flows: 1 is not in 1024..1048576 entries"},
		{
			watch.Options{Keep: time.Minute, Flows: 1024, Trusted: []string{"10.0.0.1", "localhost"}},
			`trusted[1]: "localhost" is not an address or a prefix, like 10.0.0.1 or 2001:db8::/32`,
		},
		{
			watch.Options{Keep: time.Minute, Flows: 1024, Trusted: []string{"fe80::1%eth0"}},
			`trusted[0]: "fe80::1%eth0" is not an address or a prefix, like 10.0.0.1 or 2001:db8::/32`,
		},
	} {
		if _, err := watch.New(c.o); err == nil || err.Error() != c.want {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}
