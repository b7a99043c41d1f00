package baseline

import (
	"math"
	"testing"
	"time"
)

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Options)
		want   string // "": taken
	}{
		{"default", func(*Options) {}, ""},
		{"nothing is kept", func(o *Options) { o.File = "" }, ""},
		{"least", func(o *Options) { *o = Options{"", 1, 20, time.Second, 2, 0.02, 1.1, 0.5, 1} }, ""},
		{"most", func(o *Options) { *o = Options{"/b", 10_000, 1_000_000, 24 * time.Hour, 64, 1, 10, 1, 64} }, ""},
		{"all", func(o *Options) { *o = Options{} }, "keys: 0 is not in 1..10000\nmin_calls: 0 is not in 20..1000000\n" +
			"window: 0s is not in 1s..24h0m0s\nwindows: 0 is not in 2..64\nsource_share: 0 is not in 0.02..1\n" +
			"drift: 0 is not in 1.1..10\nshift_share: 0 is not in 0.5..1\nshift_windows: 0 is not in 1..2"},
		{"file", func(o *Options) { o.File = "baseline" }, `file: "baseline" is not an absolute path below /, like /var/lib/fivetuple/baseline`},
		{"no number", func(o *Options) { o.SourceShare = math.NaN() }, "source_share: NaN is not in 0.02..1"},
		{"rows longer than what is kept", func(o *Options) { o.ShiftWindows = 13 }, "shift_windows: 13 is not in 1..12"},
	} {
		o := Default()
		c.change(&o)
		got := ""
		if err := o.Validate(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}
