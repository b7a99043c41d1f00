package simulated_test

import (
	"testing"
	"time"

	"fivetuple/correlator"
	"fivetuple/correlator/baseline"
	"fivetuple/correlator/watch"
	"fivetuple/examples/evaluate/simulated"
)

func settings() simulated.Settings {
	return simulated.Settings{
		Correlator: correlator.Options{Tuple: correlator.TupleHeader, Connections: 1 << 16, Stale: 10 * time.Second, Quiet: 5 * time.Second},
		Watch:      watch.Options{Enabled: true, Keep: time.Minute, Flows: 65536},
		Baseline:   baseline.Default(), FlagAbove: 0.8,
	}
}

func TestBenign(t *testing.T) {
	for _, s := range simulated.Benign() {
		t.Run(s.Name, func(t *testing.T) {
			begin := time.Now()
			b, err := s.Run(settings(), 1)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%v: %+v", time.Since(begin), b)
		})
	}
}
