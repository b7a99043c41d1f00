package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"fivetuple/correlator/baseline"
)

// baselineBench runs baselines on the bubble's clock.
type baselineBench struct {
	*baselines
	said bytes.Buffer
}

func newBaselineBench(t *testing.T, file string) *baselineBench {
	t.Helper()
	o := baseline.Default()
	o.File, o.Window, o.ShiftWindows = file, time.Minute, 2
	b := new(baselineBench)
	b.baselines = newBaselines(o, func() uint64 { return uint64(time.Now().UnixNano()) - uint64(time.Hour) }, zerolog.New(&b.said))
	return b
}

func baselineKey() baseline.Key { return baseline.Key{Route: "orders", Method: "GET"} }

// calls makes a call of each of thirty sources, each second.
func (b *baselineBench) calls(seconds int, response float64, abnormal bool) {
	for range seconds {
		for source := range byte(30) {
			o := baseline.Observation{Source: [16]byte{10: 0xff, 11: 0xff, 15: source}, Abnormal: abnormal}
			o.Values[baseline.Response] = response
			b.Learn(b.now(), baselineKey(), &o)
		}
		time.Sleep(time.Second)
	}
}

func (b *baselineBench) response() float64 {
	return b.Usual(baselineKey()).Quantities[baseline.Response].P50
}

func wantResponse(t *testing.T, b *baselineBench, want float64) {
	t.Helper()
	if got := b.response(); got < want*0.98 || got > want*1.02 {
		t.Errorf("the response time is %v, want %v", got, want)
	}
}

// TestBaselinesOutliveTheRunner: they are saved while it runs, when it is told to end, and when it has ended.
func TestBaselinesOutliveTheRunner(t *testing.T) {
	file := filepath.Join(t.TempDir(), "var", "baseline")
	synctest.Test(t, func(t *testing.T) {
		b := newBaselineBench(t, file)
		ctx, cancel := context.WithCancel(t.Context())
		b.start(ctx)
		b.calls(130, 5000, false)
		wantResponse(t, b, 5000)
		while := newBaselineBench(t, file)
		wantResponse(t, while, 5000)

		b.calls(1, 5000, false)
		cancel()
		synctest.Wait()
		told := newBaselineBench(t, file)
		if got, before := told.Usual(baselineKey()).Calls, while.Usual(baselineKey()).Calls; got < before+30 {
			t.Errorf("%d calls when it was told to end, %d before", got, before)
		}
		b.calls(3, 5000, false) // it drains
		b.close()
		ended := newBaselineBench(t, file)
		if got, before := ended.Usual(baselineKey()).Calls, told.Usual(baselineKey()).Calls; got < before+60 { // of 90: sources that share a group weigh as one
			t.Errorf("%d calls when it has ended, %d before", got, before)
		}
		if !strings.Contains(ended.said.String(), `"keys":1`) || strings.Contains(b.said.String(), "warn") {
			t.Errorf("said %s, then %s", &b.said, &ended.said)
		}
	})
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := os.Stat(file + ".new"); err == nil {
		t.Error("the new file is left")
	}
}

// TestAChangeIsSaidOnce.
func TestAChangeIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBaselineBench(t, "")
		b.start(t.Context())
		b.calls(120, 5000, false)
		b.calls(180, 500_000, true)
		b.calls(180, 500_000, false)
		b.close()
		wantResponse(t, b, 500_000)
		if n := strings.Count(b.said.String(), `"event":"baseline-shift","route":"orders","method":"GET"`); n != 1 {
			t.Errorf("said %d times:\n%s", n, &b.said)
		}
	})
}

// TestABadBaselineFile is set aside, named in the log, and does not keep the runner from starting or saving.
func TestABadBaselineFile(t *testing.T) {
	for suffix, text := range map[string]string{
		".damaged-": "{\"format\":\"fivetuple-baseline\",\"version\":1,\"salt\":1}\n",
		".newer-":   "{\"format\":\"fivetuple-baseline\",\"version\":99,\"salt\":1}\nwhatever\n",
	} {
		file := filepath.Join(t.TempDir(), "baseline")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			b := newBaselineBench(t, file)
			aside, err := filepath.Glob(file + suffix + "*")
			if err != nil || len(aside) != 1 || !strings.Contains(b.said.String(), aside[0]) {
				t.Fatalf("%v aside, %v; said %s", aside, err, &b.said)
			}
			if kept, err := os.ReadFile(aside[0]); err != nil || string(kept) != text {
				t.Errorf("aside: %q, %v", kept, err)
			}
			b.start(t.Context())
			b.calls(70, 5000, false)
			b.close()
			wantResponse(t, newBaselineBench(t, file), 5000)
		})
	}
}

// TestASaveThatFails is said once, leaves the file before as it was, and is tried again.
func TestASaveThatFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "baseline")
	synctest.Test(t, func(t *testing.T) {
		b := newBaselineBench(t, file)
		b.start(t.Context())
		b.calls(61, 5000, false)
		before, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		other, err := os.OpenFile(file+".new", os.O_CREATE|os.O_RDWR, 0o600) // another runner, at it for minutes
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Flock(int(other.Fd()), unix.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		b.calls(180, 6000, false)
		if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, before) {
			t.Errorf("the file has changed: %v", err)
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		b.calls(60, 6000, false)
		after := newBaselineBench(t, file)
		if after.Usual(baselineKey()).Calls <= 2000 {
			t.Errorf("got %+v", after.Usual(baselineKey()))
		}
		b.close()
		if said := b.said.String(); strings.Count(said, "cannot be saved") != 1 || strings.Count(said, "saved again") != 1 {
			t.Errorf("said %s", said)
		}
	})
}

// TestABaselineFileThatIsNone is left alone.
func TestABaselineFileThatIsNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "baseline")
	if err := unix.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBaselineBench(t, file)
	b.close()
	if !strings.Contains(b.said.String(), "not a regular file") {
		t.Errorf("said %s", &b.said)
	}
}
