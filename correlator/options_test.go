package correlator_test

import (
	"testing"
	"time"

	"fivetuple/correlator"
)

func TestOptionsInRange(t *testing.T) {
	for _, o := range []correlator.Options{
		testOptions(),
		{Tuple: correlator.TupleMapVariable, Connections: 1024, Stale: 2 * time.Second, Quiet: time.Second},
		{Tuple: correlator.TupleVariables, Connections: 16 << 20, Stale: time.Minute, Quiet: time.Hour},
	} {
		if err := o.Validate(); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestOptionsOutOfRange(t *testing.T) {
	const (
		tuple       = `tuple: "" is not one of header, map-variable, variables`
		connections = "connections: 0 is not in 1024..16777216"
		stale       = "stale: 0s is not in 2s..1m0s"
		quiet       = "quiet: 0s is not in 1s..1h0m0s"
	)
	for _, c := range []struct {
		name   string
		change func(*correlator.Options)
		want   string
	}{
		{"all", func(o *correlator.Options) { *o = correlator.Options{} }, tuple + "\n" + connections + "\n" + stale + "\n" + quiet},
		{"tuple", func(o *correlator.Options) { o.Tuple = "Header" }, `tuple: "Header" is not one of header, map-variable, variables`},
		{"few", func(o *correlator.Options) { o.Connections = 1023 }, "connections: 1023 is not in 1024..16777216"},
		{"negative", func(o *correlator.Options) { o.Connections = -1 }, "connections: -1 is not in 1024..16777216"},
		{"many", func(o *correlator.Options) { o.Connections = 16<<20 + 1 }, "connections: 16777217 is not in 1024..16777216"},
		{"short", func(o *correlator.Options) { o.Stale = 2*time.Second - 1 }, "stale: 1.999999999s is not in 2s..1m0s"},
		{"loud", func(o *correlator.Options) { o.Quiet = time.Second - 1 }, "quiet: 999.999999ms is not in 1s..1h0m0s"},
		{"silent", func(o *correlator.Options) { o.Quiet = time.Hour + 1 }, "quiet: 1h0m0.000000001s is not in 1s..1h0m0s"},
		{"long", func(o *correlator.Options) { o.Stale = time.Minute + 1 }, "stale: 1m0.000000001s is not in 2s..1m0s"},
	} {
		o := testOptions()
		c.change(&o)
		if err := o.Validate(); err == nil || err.Error() != c.want {
			t.Errorf("%s:\n got %v\nwant %s", c.name, err, c.want)
		}
		if cor, err := correlator.New(newModelTable(), o, nil, nil); err == nil || cor != nil {
			t.Errorf("%s: New took it", c.name)
		}
	}
}
