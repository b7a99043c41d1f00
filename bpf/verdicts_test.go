package bpf

import (
	"errors"
	"fmt"
	"maps"
	"testing"

	"fivetuple/correlator/flow"
)

func sourceKey(n int) flow.VerdictKey {
	return flow.VerdictKey{Address: peerNumber(n).Addr().As16(), Kind: flow.VerdictSource}
}

// TestVerdicts: what the owner writes is what another reads through the pin, and cannot write.
func TestVerdicts(t *testing.T) {
	p := newPublished(t)
	owner, err := OpenVerdicts(p.pins, true)
	must(t, err)
	t.Cleanup(func() { _ = owner.Close() })
	reader, err := OpenVerdicts(p.pins, false)
	must(t, err)
	t.Cleanup(func() { _ = reader.Close() })

	want := map[flow.VerdictKey]flow.Verdict{
		sourceKey(1):                           {Since: 1, Expires: 2, Signals: 3, Score: 900, Origin: flow.OriginManual},
		{Kind: flow.VerdictListener, Port: 80}: {Since: 4, Expires: 5, Signals: 6, Score: 1000},
	}
	for k, v := range want {
		must(t, owner.Put(k, flow.Verdict{Score: 1}))
		must(t, owner.Put(k, v))
	}
	wantVerdicts(t, reader, want)
	if err := reader.Put(sourceKey(2), flow.Verdict{}); err == nil {
		t.Error("a reader could write")
	}
	if _, err := reader.Delete(sourceKey(1)); err == nil {
		t.Error("a reader could remove")
	}
	for i, there := range []bool{true, false} {
		got, err := owner.Delete(sourceKey(1))
		must(t, err)
		if got != there {
			t.Errorf("removal %d: %v", i+1, got)
		}
		delete(want, sourceKey(1))
		wantVerdicts(t, reader, want)
	}
	_, there, err := reader.Get(sourceKey(1))
	must(t, err)
	same(t, there, false)
}

func wantVerdicts(t *testing.T, v *Verdicts, want map[flow.VerdictKey]flow.Verdict) {
	t.Helper()
	if got := readVerdicts(t, v); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func readVerdicts(t *testing.T, v *Verdicts) map[flow.VerdictKey]flow.Verdict {
	t.Helper()
	all := make(map[flow.VerdictKey]flow.Verdict)
	must(t, v.Each(func(k flow.VerdictKey, to *flow.Verdict) error {
		all[k] = *to
		return nil
	}))
	return all
}

// TestVerdictsFull: one more is refused, and takes nobody's place.
func TestVerdictsFull(t *testing.T) {
	v := &Verdicts{newKernel(t).Verdicts}
	n := int(testOptions().Tables.Verdicts)
	for i := range n {
		must(t, v.Put(sourceKey(i), flow.Verdict{Score: uint16(i)}))
	}
	if err := v.Put(sourceKey(n), flow.Verdict{}); !errors.Is(err, ErrVerdictsFull) {
		t.Errorf("one more: %v", err)
	}
	must(t, v.Put(sourceKey(7), flow.Verdict{Score: 8}))
	same(t, len(readVerdicts(t, v)), n)
}

func TestVerdictsWithoutTable(t *testing.T) {
	needRoot(t)
	if _, err := OpenVerdicts(t.TempDir(), false); !errors.Is(err, flow.ErrNoTable) {
		t.Errorf("got %v", err)
	}
}

// TestVerdictsOfNobody: whoever may read the pin reads them all, without a capability.
func TestVerdictsOfNobody(t *testing.T) {
	p := publishTables(t, pinFolder(t, true), "0644", "")
	v := &Verdicts{p.Verdicts}
	const n = 2 * sweepBatch
	for i := range n {
		must(t, v.Put(sourceKey(i), flow.Verdict{}))
	}
	same(t, runChild(t, "verdicts", pinsEnv+"="+p.pins), fmt.Sprintf("read %d open to write: true", n))
}

// TestVerdictsOutliveTheAgent: the next one finds what the last one wrote.
func TestVerdictsOutliveTheAgent(t *testing.T) {
	inNamespace(t)
	pins := pinFolder(t, true)
	a := startAgent(t, agentOptions(pins, onExitKeep))
	want := map[flow.VerdictKey]flow.Verdict{sourceKey(1): {Since: 1, Expires: 2, Score: 3, Signals: 4, Origin: flow.OriginFleet}}
	must(t, a.Verdicts().Put(sourceKey(1), want[sourceKey(1)]))
	must(t, a.Close())
	wantVerdicts(t, startAgent(t, agentOptions(pins, onExitKeep)).Verdicts(), want)
}
