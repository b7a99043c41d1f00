package stack_test

import (
	"crypto/tls"
	"fmt"
	"testing"
	"time"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// recordsWait bounds the time until every call has its record: a connection that is closed is looked at after a second.
const recordsWait = 20 * time.Second

// TestEveryCallIsAttributed makes about 2,000 calls over connections of every kind. Each call's record must have exactly the
// packets and bytes that an independent capture shows for it, and say rightly how they were found.
func TestEveryCallIsAttributed(t *testing.T) {
	for _, offloads := range []bool{false, true} {
		t.Run(fmt.Sprintf("offloads=%v", offloads), func(t *testing.T) { attribute(t, offloads) })
	}
}

func attribute(t *testing.T, offloads bool) {
	t.Helper()
	ctx, s := start(t, stack.Options{NoRunner: true, Offloads: offloads, TLS: serverTLS(t)})
	capture, err := s.Capture(lab.CaptureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tr := &traffic{ctx: ctx, t: t, s: s, runner: startCallRunner(ctx, t, s)}
	tr.runner.baselines.areNarrow()
	tr.callsOfAllKinds()
	tr.runner.await(tr)
	tr.runner.current().Flush() // what is missing is seen as cut
	if err := capture.Stop(); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", printTable(tr.compare(capture.Packets(), tr.runner.all())))
	tr.wantNoFlags()
	if tr.runner.retried == 0 {
		t.Error("no call was asked again with another token")
	}
}

func (tr *traffic) callsOfAllKinds() {
	tr.keepAliveCalls()
	tr.pipelinedCalls()
	tr.continueCalls()
	tr.earlyCalls()
	tr.uploadCalls()
	tr.secureCalls("TLS 1.3", "", tls.VersionTLS13)
	tr.secureCalls("TLS 1.3, ticket after the handshake", lateTicket, tls.VersionTLS13)
	tr.secureCalls("TLS 1.3, hello again", helloAgain, tls.VersionTLS13)
	tr.secureCalls("TLS 1.2", "", tls.VersionTLS12)
	tr.secureOthers()
	tr.http2Calls()
	tr.websocketCalls()
	tr.phaseCalls()
	tr.unseenCalls()
	tr.closingCalls()
	tr.reuseCalls("port reuse", 20_000, func() { tr.runner.await(tr) }, false)
	tr.reuseCalls("port reuse at once", 20_100, func() {}, true)
	tr.retryCalls()
	tr.runner.await(tr)
	tr.restartCalls("runner restarted", func() { tr.runner.restarts(tr.ctx) }, ending{mark: ";cut"})
	tr.restartCalls("runner killed", tr.runner.dies, ending{lost: true})
	tr.restartedHTTP2("runner restarted, HTTP/2", func() { tr.runner.restarts(tr.ctx) }, ending{mark: ";cut"})
	tr.restartedHTTP2("runner killed, HTTP/2", tr.runner.dies, ending{lost: true})
	tr.vanishingCalls()
}

// await waits until every call that met a plugin has its record.
func (r *callRunner) await(tr *traffic) {
	r.t.Helper()
	wanted := make(map[[16]byte]bool)
	for _, c := range tr.talks {
		for _, call := range c.calls {
			if call.want != "" && !call.lost {
				wanted[call.trace] = true
			}
		}
	}
	deadline := time.Now().Add(recordsWait)
	seen := 0
	for len(wanted) > 0 && time.Now().Before(deadline) {
		records := r.all()
		for _, record := range records[seen:] {
			delete(wanted, record.TraceID)
		}
		seen = len(records)
		pause(tr.ctx, sweepEvery)
	}
}
