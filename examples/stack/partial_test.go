package stack_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"fivetuple/bpf"
	"fivetuple/conf"
	"fivetuple/correlator"
	"fivetuple/correlator/flow"
	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// timedTable notes when a look-up started and ended, CLOCK_MONOTONIC nanoseconds.
type timedTable struct {
	flow.Table
	clock      bpf.Clock
	start, end uint64
}

// Lookup implements flow.Table.
func (t *timedTable) Lookup(k flow.Key, r *flow.Record) error {
	t.start = t.clock.Now()
	defer func() { t.end = t.clock.Now() }()
	return t.Table.Lookup(k, r)
}

// look is what a call's figures were at a moment between two others.
type look struct {
	start, end uint64
	size       correlator.Size
}

// TestFiguresOfABodyUnderWay looks at a call many times while its body arrives, from this process, as a runner does: every
// figure lies between what the capture shows at the look-up's start and at its end, and the last one equals the capture.
func TestFiguresOfABodyUnderWay(t *testing.T) {
	for _, offloads := range []bool{false, true} {
		ctx, s := start(t, stack.Options{Offloads: offloads})
		capture, err := s.Capture(lab.CaptureOptions{})
		if err != nil {
			t.Fatal(err)
		}
		const length = 1 << 20
		request := stack.Post("/insight/slow", length)
		c := dial(ctx, t, s, lab.GatewayFrontIPv4)
		looks := lookWhile(t, s, c, uint64(len(request)-length), length, func() {
			upload(ctx, t, c, request)
		})
		if err := capture.Stop(); err != nil {
			t.Fatal(err)
		}
		f := lab.Flows(capture.Packets(), nil)[lab.FlowKey{Local: c.GatewayAddr(), Remote: c.Addr()}]
		partial := 0
		for _, l := range looks {
			if compareLook(t, f, l) {
				partial++
			}
		}
		if last, whole := looks[len(looks)-1].size, f.Exchanges()[1]; last.Bytes != whole.RXBytes ||
			uint64(last.Packets) != whole.RXPackets || last.Payload != whole.RXPayload {
			t.Errorf("the last look says %+v, the capture %+v", last, whole.Figures)
		}
		if partial < 10 {
			t.Errorf("only %d of %d looks came while the body arrived", partial, len(looks))
		}
		t.Logf("offloads=%v: %d looks, %d while the body arrived", offloads, len(looks), partial)
	}
}

func upload(ctx context.Context, t *testing.T, c *stack.Client, request []byte) {
	t.Helper()
	if err := c.SendSlowly(ctx, request, 20_000, time.Millisecond); err != nil {
		t.Error(err)
		return
	}
	if _, err := c.Receive("POST"); err != nil {
		t.Error(err)
	}
}

// lookWhile looks at the client's first call over and over until `do` is done, and once after.
func lookWhile(t *testing.T, s *stack.Stack, c *stack.Client, head, body uint64, do func()) []look {
	t.Helper()
	clock, err := bpf.NewClock()
	if err != nil {
		t.Fatal(err)
	}
	options := conf.Default().Correlator
	reader, err := bpf.NewReader(s.Pins(), options.Stale, clock)
	if err != nil {
		t.Fatal(err)
	}
	table := &timedTable{Table: reader, clock: clock}
	cor, err := correlator.New(table, options, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	call := correlator.Call{
		Tuple: correlator.Tuple{
			Peer: c.Addr(), Gateway: c.GatewayAddr(), Connection: 1, Requests: 1, RequestLength: head,
		},
		ContentLength: body,
	}
	var looks []look
	lookOnce := func() {
		if res := cor.Match(clock.Now(), call); res.Size.Known {
			looks = append(looks, look{table.start, table.end, res.Size})
		}
	}
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		do()
	})
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-tick.C:
			lookOnce()
		}
	}
	wg.Wait()
	if lookOnce(); len(looks) == 0 {
		t.Fatal("no look found the call")
	}
	return looks
}

// recordedBy returns the time of the last packet that the kernel program had surely seen at a moment. The capture comes
// right before the program, so the last packet that it shows may be on its way between the two; the one before it was
// through, because the lab receives on one CPU, one packet after the other.
func recordedBy(f *lab.Flow, moment int64) int64 {
	var last, before int64
	for _, segment := range f.Segments {
		if segment.RX && segment.Time <= moment {
			last, before = segment.Time, last
		}
	}
	return before
}

// compareLook holds a look against the capture, and says whether the body was still arriving.
func compareLook(t *testing.T, f *lab.Flow, l look) bool {
	t.Helper()
	before, err := f.Between(1, 1, recordedBy(f, int64(l.start)))
	if err != nil {
		before = lab.Figures{} // the exchange had not begun
	}
	after, err := f.Between(1, 1, int64(l.end))
	if err != nil {
		t.Errorf("a look found %d bytes, the capture has none by then: %v", l.size.Bytes, err)
		return false
	}
	if l.size.Bytes < before.RXBytes || l.size.Bytes > after.RXBytes {
		t.Errorf("a look says %d bytes, the capture %d at its start and %d at its end", l.size.Bytes, before.RXBytes, after.RXBytes)
	}
	return after.RXBytes < f.Exchanges()[1].RXBytes
}
