package stack_test

import (
	"testing"
	"time"

	"fivetuple/correlator"
	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// timeOut is what a segment costs that only a time-out brings (Linux: TCP_RTO_MIN). Calls that took less were not slow by the
// road: a busy machine stops everybody for half as long.
const timeOut = 200 * time.Millisecond

// TestTheNetworkIsSlow is TestWhoIsSlow over roads that are long or bad. Not every call over a bad road is slow. A request
// whose last packets were lost looks, from the gateway, like one whose client paused: on bad roads there are no long ones.
func TestTheNetworkIsSlow(t *testing.T) {
	for name, road := range map[string]lab.Impairment{
		"long":          {DelayMin: 50 * time.Millisecond, DelayMax: 60 * time.Millisecond},
		"long and bad":  {DelayMin: 30 * time.Millisecond, DelayMax: 40 * time.Millisecond, Loss: 0.05},
		"short and bad": {DelayMin: 2 * time.Millisecond, DelayMax: 3 * time.Millisecond, Loss: 0.2},
	} {
		t.Run(name, func(t *testing.T) {
			tr := startTraffic(t, stack.Options{Road: &road})
			tr.runner.baselines.areNarrow()
			times(20, func(i int) {
				tr.open("slow network", either(i), func(c *talk) {
					for n := range 6 {
						if !c.get("exchange", "/insight/get?pad=60000", 0) || road.Loss == 0 && !c.post("exchange", "/insight/post", 20_000*n) {
							return
						}
					}
				})
			})
			tr.runner.await(tr)
			tr.wantPart(correlator.PartNetwork, timeOut)
			tr.wantNoFlags()
		})
	}
}
