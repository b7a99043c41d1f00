package baseline

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"fivetuple/correlator/sketch"
)

// keyBytes is what one key takes in memory at most, with Windows 12: 70 KB for the open window (two samples of 512 calls, the
// sources, the rates), and 18 KB for the packed sketches of each of twelve closed windows and six that are kept aside.
const keyBytes = 400 << 10

// packedBytes is the longest that sketch.Pack makes: a byte for each bin's distance, and one or two for its units.
const packedBytes = 4 << 10

// fleetBytes is what a key takes on top where it learns with others, with Windows 12: six packed sketches a period, at most
// MaxPeers names of 16 bytes for each of them, and for the comparison.
const fleetBytes = 12*(6*packedBytes+MaxPeers*16+512) + MaxPeers*16

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestMemoryIsBounded: a million routes and a million sources take what Options.Keys keys take.
func TestMemoryIsBounded(t *testing.T) {
	const million = 1_000_000
	o := testOptions()
	o.Keys = 50
	before := heap()
	w := newWorld(t, o)
	var values [Quantities]float64
	for i := range million {
		for q := range values {
			values[q] = math.Exp(20 * w.random.Float64()) // any bin
		}
		source := [16]byte{0x20, 0x01}
		binary.BigEndian.PutUint32(source[4:], uint32(i))
		abnormal := i%3 == 0
		k := Key{Route: fmt.Sprint("route ", i), Method: fmt.Sprint("METHOD", i)}
		w.b.Learn(w.now, k, &Observation{Source: source, Values: values, Abnormal: abnormal})
		k = Key{Route: fmt.Sprint("route ", i%o.Keys)}
		w.b.Learn(w.now, k, &Observation{Source: source, Values: values, Abnormal: abnormal})
		if i%1000 == 0 {
			w.second()
		}
	}
	after := heap()
	c := w.b.Counters()
	if c.Keys != o.Keys || c.Shared < million-uint64(o.Keys) || c.Windows < 50*15 || c.Ready < o.Keys {
		t.Errorf("got %+v", c)
	}
	if after > before+uint64(o.Keys+1)*keyBytes {
		t.Errorf("%d bytes a key, want at most %d", (after-before)/uint64(o.Keys+1), keyBytes)
	}
	t.Logf("%d KB a key", (after-before)/uint64(o.Keys+1)>>10)
	runtime.KeepAlive(w)
}

// TestTheFleetsMemoryIsBounded: as many gateways as are merged, each with as many bins as it may have, in all periods.
func TestTheFleetsMemoryIsBounded(t *testing.T) {
	o := testOptions()
	o.Keys = 4
	w := newWorld(t, o)
	w.b.Share(0.2)
	var keys []Key
	for i := range o.Keys {
		keys = append(keys, Key{Route: fmt.Sprint("route ", i), Method: "GET"})
		w.b.Learn(w.now, keys[i], &Observation{Source: address(1), Values: typical(1)})
	}
	w.second()
	var peers []Peer
	for i := range MaxPeers + 1 {
		peers = append(peers, Peer{Gateway: gatewayName(i), Value: widest(o, 1000)})
	}
	w.b.Merge(w.now, keys[0], w.b.o.period(w.b.wall(w.now)), peers) // the pool is there
	before := heap()
	for _, k := range keys {
		for back := range int64(o.Windows + 4) {
			w.b.Merge(w.now, k, w.b.o.period(w.b.wall(w.now))+3-back, peers)
		}
	}
	after := heap()
	e := w.b.published.Load().keys[keys[1]]
	if len(e.fleet) != o.Windows || len(e.fleet[0].from) != MaxPeers || !w.b.Usual(keys[1]).Ready {
		t.Errorf("%d windows of %d gateways", len(e.fleet), len(e.fleet[0].from))
	}
	if after > before+uint64(o.Keys)*fleetBytes {
		t.Errorf("%d bytes a key, want at most %d", (after-before)/uint64(o.Keys), fleetBytes)
	}
	t.Logf("%d KB a key", (after-before)/uint64(o.Keys)>>10)
	runtime.KeepAlive([]any{w, peers})
}

// TestAHostileFileTakesNoMoreMemory than its keys may: neither while it is read, however many windows a line has, nor after.
func TestAHostileFileTakesNoMoreMemory(t *testing.T) {
	wide := sketch.New()
	for v := 1.0; v < sketch.MaxValue; v *= 1.045 {
		wide.Add(v, 1)
	}
	p, _ := json.Marshal([]byte(wide.Pack())) //nolint:errchkjson // bytes
	window := fmt.Sprintf(`{"from":1,"to":2,"weight":1e3,"sources":1,"sketches":[%[1]s,%[1]s,%[1]s,%[1]s,%[1]s],"rate":%[1]s}`, p)
	const empty = `,{"from":1,"to":2,"weight":1e3,"sources":1,"sketches":["","","","",""],"rate":""}`
	var text bytes.Buffer
	var sum xxhash.Digest
	sum.Reset()
	const keys = 8
	both := io.MultiWriter(&text, &sum)
	fmt.Fprintln(both, `{"format":"fivetuple-baseline","version":1,"salt":1}`)
	for i := range keys {
		fmt.Fprintf(both, `{"route":"%d","method":"GET","called":1,"steps":1,"usual":{},"windows":[%s%s]}`+"\n", i, window,
			strings.Repeat(","+window, maxWindows-1)+strings.Repeat(empty, 10_000))
	}
	fmt.Fprintf(&text, `{"keys":%d,"sum":%d}`+"\n", keys, sum.Sum64())

	o := testOptions()
	o.Keys = 5
	b := New(o)
	before := heap()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	allocated := m.TotalAlloc
	if err := b.Load(&text); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&m)
	if took := m.TotalAlloc - allocated; took > (keys+1)*4*maxLine {
		t.Errorf("%d bytes were allocated for %d lines", took, keys)
	}
	if after := heap(); b.Counters().Keys != o.Keys || after > before+uint64(o.Keys)*keyBytes {
		t.Errorf("%d bytes for %+v", after-before, b.Counters())
	}
	runtime.KeepAlive(b)
}

// TestKeys: what a client can choose makes no keys; what it can reach at all makes room after a time.
func TestKeys(t *testing.T) {
	o := testOptions()
	o.Keys = 2
	w := newWorld(t, o)
	learn := func(k Key) { w.b.Learn(w.now, k, &Observation{Source: address(1)}) }
	for i := range 100 {
		learn(Key{"a", fmt.Sprint("get", i)})
		learn(Key{strings.Repeat("x", maxRoute+1+i), "GET"})
	}
	w.second()
	if c := w.b.Counters(); c.Keys != 1 || c.Shared != 100 || w.b.Usual(Key{"a", "ANY"}) != w.b.Usual(Key{"a", ""}) {
		t.Errorf("got %+v", c)
	}
	for range 2 {
		w.now += uint64(idleFresh) / 2
		learn(Key{"b", "GET"})
		learn(Key{"c", "GET"})
		w.second()
	}
	w.second()
	if m := w.b.published.Load().keys; m[Key{"a", otherMethod}] != nil || m[Key{"b", "GET"}] == nil {
		t.Errorf("got %v", m)
	}
	learn(Key{"c", "GET"})
	w.second()
	if c := w.b.Counters(); c.Keys != 2 || c.Evicted != 1 {
		t.Errorf("got %+v", c)
	}
}

// TestTogether calls everything at once; the race detector looks on.
func TestTogether(t *testing.T) {
	o := testOptions()
	o.Keys = 8
	w := newWorld(t, o)
	w.b.Share(0.2)
	var wg sync.WaitGroup
	for source := range 4 {
		wg.Go(func() {
			for i := range 5000 {
				k := Key{Route: fmt.Sprint(i % 12), Method: "GET"}
				w.b.Learn(w.now, k, &Observation{Source: address(source + i%50), Values: typical(1), Abnormal: i%5 == 0})
				if u := w.b.Usual(k); u == nil || u.Ready && u.Quantities[Size].P50 == 0 {
					t.Error("a half baseline")
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 300 {
			w.b.Rotate(w.now + uint64(i)*uint64(time.Second))
		}
	})
	wg.Go(func() {
		for i := range 300 {
			now := w.now + uint64(i)*uint64(time.Second)
			for _, want := range w.b.Wants(now) {
				for _, p := range want.Periods {
					w.b.Merge(now, want.Key, p, []Peer{{"a", forge(o, 1000, 1)}, {"b", forge(o, 100, 2)}})
				}
			}
			w.b.Published(math.MaxInt)
			w.b.Strangers()
		}
	})
	wg.Go(func() {
		for range 20 {
			_ = savedText(t, w.b)
			w.b.Changed()
			w.b.Counters()
		}
	})
	wg.Wait()
}
