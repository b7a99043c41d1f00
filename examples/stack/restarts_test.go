package stack_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"fivetuple/correlator"
	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// TestNoRecordIsWrongAfterRestarts ends the runner again and again while clients call, by turns as SIGTERM and as SIGKILL
// do. Calls fail, and records are lost; those that there are must be right, and say so where the end of a call was not seen.
func TestNoRecordIsWrongAfterRestarts(t *testing.T) {
	const restarts = 20
	tr := startTraffic(t, stack.Options{TLS: serverTLS(t)})
	capture, err := tr.s.Capture(lab.CaptureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(tr.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tr.callUntil(ctx)
	}()
	for n := range restarts {
		pause(tr.ctx, 73*time.Millisecond)
		if n%2 == 0 {
			tr.runner.restarts(tr.ctx)
		} else {
			tr.runner.dies()
		}
	}
	stop()
	<-done
	tr.runner.current().Flush()
	if err := capture.Stop(); err != nil {
		t.Fatal(err)
	}
	c := &verdict{t: t, flows: flowsOf(capture.Packets()), records: make(map[[16]byte][]correlator.CallRecord), named: make(map[string]int)}
	for _, r := range tr.runner.all() {
		c.records[r.TraceID] = append(c.records[r.TraceID], r)
	}
	calls := 0
	for _, each := range tr.talks {
		calls += len(each.calls)
		c.talk(each)
	}
	t.Logf("%d restarts, %d calls, %d records: %v", restarts, calls, len(tr.runner.all()), c.named)
	if c.named["exchange"] < restarts || c.named["exchange;cut"] == 0 || c.named["shared"] == 0 {
		t.Error("the restarts did not meet the calls")
	}
}

// callUntil has clients call, on connections of some calls each, until the context ends. Some calls fail.
func (tr *traffic) callUntil(ctx context.Context) {
	times(30, func(i int) {
		for ctx.Err() == nil {
			tr.open("restarts", either(i), func(c *talk) {
				for n := 0; n < 30 && ctx.Err() == nil; n++ {
					if !c.tryCall(i, n) {
						return
					}
					pause(ctx, time.Millisecond)
				}
			})
		}
	})
}

// tryCall makes a call, and returns whether the connection can have another one.
func (c *talk) tryCall(i, n int) bool {
	path := []string{"/insight/get", "/both/get", "/insight/get", "/both/get", "/plain/get"}[(i+n*n)%5]
	line := c.traced("", 0)
	request := stack.Get(path, 37*n, line)
	if n%4 == 1 {
		request = stack.Post(path, 300*n, line)
	}
	a, err := c.Do(request)
	return err == nil || a.Status == 503
}

// verdict holds each record against the capture, whatever became of others.
type verdict struct {
	t       *testing.T
	flows   map[lab.FlowKey][]*lab.Flow
	records map[[16]byte][]correlator.CallRecord
	named   map[string]int // records by their match
}

func (v *verdict) talk(c *talk) {
	flows := v.flows[c.key]
	if len(flows) == 0 {
		v.t.Errorf("%v: the capture has no such connection", c.key)
		return
	}
	f := flows[0]
	v.flows[c.key] = flows[1:]
	starts := make([]int, len(c.calls))
	for i, call := range c.calls {
		var err error
		if starts[i], err = exchangeOf(f, call.first); err != nil {
			starts[i] = len(f.Exchanges()) // it never came
		}
	}
	end := 0 // of the records of the calls before
	for i, call := range c.calls {
		end = max(end, v.call(c, f, starts, i, end, v.records[call.trace]))
	}
}

// call looks at the records of a call, and returns the number of the last exchange that they name. One call has two where the
// runner ended between its phases: the first is cut.
func (v *verdict) call(c *talk, f *lab.Flow, starts []int, i, end int, records []correlator.CallRecord) (last int) {
	for n := range records {
		r := &records[n]
		v.named[describe(r)]++
		why := wrongRecord(f, r, starts, i)
		switch {
		case why != "":
		case r.First > 0 && int(r.First) <= end:
			why = fmt.Sprintf("exchanges until %d were another call's", end)
		case n < len(records)-1 && !r.Cut:
			why = fmt.Sprintf("one of %d records", len(records))
		}
		if why != "" {
			v.t.Errorf("%v, call %d of %d: %s, exchanges %d..%d, %+v and %+v: %s", c.key.Remote, i+1, len(c.calls), describe(r),
				r.First, r.Last, r.Request, r.Response, why)
		}
		last = max(last, int(r.Last))
	}
	return last
}

// wrongRecord says what is wrong with the record of the i-th call of a connection; "" if nothing is. STARTS are the exchanges
// in which its calls begin.
func wrongRecord(f *lab.Flow, r *correlator.CallRecord, starts []int, i int) string {
	var request, response carried
	request.add(&r.Request)
	response.add(&r.Response)
	last := len(f.Exchanges()) - 1
	switch {
	case r.Requests != uint64(i+1):
		return fmt.Sprintf("request %d", r.Requests)
	case !addsUp(r):
		return fmt.Sprintf("split %+v of %+v", r.Split, r.At)
	case r.First == 0:
		if request.packets+response.packets > 0 {
			return "figures of no exchange"
		}
		return ""
	case int(r.First) != starts[i] || int(r.Last) > last:
		return fmt.Sprintf("it begins in exchange %d", starts[i])
	case r.Cut:
		wantRequest, wantResponse := (&share{from: int(r.First), to: last}).of(f)
		if !request.begins(wantRequest) || !response.begins(wantResponse) {
			return "not the first of its packets"
		}
		return ""
	}
	wantRequest, wantResponse := (&share{from: int(r.First), to: int(r.Last)}).of(f)
	if !request.equals(wantRequest) || !response.equals(wantResponse) {
		return fmt.Sprintf("the capture has %v and %v", sum(wantRequest), sum(wantResponse))
	}
	others := 0
	for _, start := range starts[i+1:] {
		if start <= int(r.Last) {
			others++
		}
	}
	if r.Match == correlator.MatchExchange && others > 0 {
		return fmt.Sprintf("%d others began there", others)
	}
	return ""
}
