package bpf

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"fivetuple/correlator/flow"
)

// TestMain runs a part of a test in a process of its own, if that is what this process was started for.
func TestMain(m *testing.M) {
	if part, ok := childParts()[os.Getenv(childEnv)]; ok {
		part()
		return
	}
	os.Exit(m.Run())
}

// skip leaves a test out, unless FIVETUPLE_NO_SKIP says that all must run.
func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("FIVETUPLE_NO_SKIP") == "1" {
		t.Fatalf("FIVETUPLE_NO_SKIP is set, but: %s", why)
	}
	t.Skip(why)
}

// needRoot skips without root. With it, whatever the kernel does not support is a failure.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		skip(t, "needs root")
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// skb is struct __sk_buff of linux/bpf.h: what a test run may set of a packet, beside its bytes.
type skb struct {
	_       [10]uint32
	Ifindex uint32
	_       uint32
	CB      [5]uint32
	_       [21]uint32
	Tstamp  uint64
	_       [4]uint32
	GSOSize uint32
	_       [3]uint32
}

// kernel is the loaded program with tables of its own, which nothing is attached to. Its clock is the test's.
type kernel struct {
	*tables
	t    testing.TB
	now  uint64 // nanoseconds
	link uint32 // interface index; 0: the loopback's
}

func testOptions() Options {
	return Options{
		Interfaces:    []string{"lo"},
		Pins:          PinOptions{Path: "/nowhere", Mode: "0640"},
		Tables:        TableOptions{Flows: 1024, HalfOpen: 1024, UDP: 1024, Sources: 1024, Holes: 1024, Verdicts: 1024},
		Midstream:     MidstreamSocket,
		Sweep:         SweepOptions{Every: time.Minute, Closed: time.Minute, Idle: time.Hour},
		FirstPayload:  FirstPayloadKeep,
		OnNoInterface: NoInterfaceWait, OnExit: ExitRemove,
	}
}

func newKernel(t testing.TB, set ...func(*Options)) *kernel {
	t.Helper()
	needRoot(t)
	o := testOptions()
	for _, s := range set {
		s(&o)
	}
	loaded := takeIdle(t, o)
	return &kernel{tables: loaded, t: t, now: 1}
}

// idle are loaded programs with empty tables, by their options: the verifier takes most of the time of a short test, and on an emulated
// CPU a second.
var (
	idleMu sync.Mutex
	idle   = make(map[string]*tables)
)

// takeIdle returns programs that no other test uses, and keeps them for the next one when the test has passed.
func takeIdle(t testing.TB, o Options) *tables {
	t.Helper()
	key := fmt.Sprintf("%+v", o)
	idleMu.Lock()
	loaded := idle[key]
	delete(idle, key)
	idleMu.Unlock()
	if loaded == nil {
		spec, err := configure(o)
		must(t, err)
		must(t, spec.Variables[fivetupleVarClockFromSkb].Set(true))
		loaded, err = load(spec, nil)
		must(t, err)
	}
	t.Cleanup(func() {
		idleMu.Lock()
		defer idleMu.Unlock()
		if idle[key] != nil || t.Failed() || loaded.empty() != nil {
			_ = loaded.Close()
			return
		}
		idle[key] = loaded
	})
	return loaded
}

// empty makes the tables as they are when they were just loaded, and pinned nowhere.
func (t *tables) empty() error {
	for _, m := range t.shared() {
		if err := m.Unpin(); err != nil {
			return err
		}
		switch m.Type() {
		case ebpf.PerCPUArray:
			zeros := make([][]byte, ebpf.MustPossibleCPU())
			for i := range zeros {
				zeros[i] = make([]byte, m.ValueSize())
			}
			for i := range m.MaxEntries() {
				if err := m.Put(i, zeros); err != nil {
					return err
				}
			}
		case ebpf.Array:
			if err := m.Put(uint32(0), make([]byte, m.ValueSize())); err != nil {
				return err
			}
		default:
			if err := deleteAll(m.Map); err != nil {
				return err
			}
		}
	}
	return nil
}

func deleteAll(m *ebpf.Map) error {
	var keys [][]byte
	key := make([]byte, m.KeySize())
	for err := m.NextKey(nil, &key); ; err = m.NextKey(key, &key) {
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			break
		}
		if err != nil {
			return err
		}
		keys = append(keys, slices.Clone(key))
	}
	for _, key := range keys {
		if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
	}
	return nil
}

func midstreamAny(o *Options) { o.Midstream = MidstreamAny }

// at sets the clock, in microseconds since a start that is not 0, which means "not seen".
func (k *kernel) at(us uint64) *kernel {
	k.now = clockAt(us)
	return k
}

func clockAt(us uint64) uint64 { return 1_000_000 + us*1000 }

func ackedAt(us uint64) uint32 { return uint32(clockAt(us) >> 10) }

func stampAt(us uint64) flow.Stamp { return flow.StampOf(clockAt(us)) }

// feed runs the program of a direction on a frame, and returns the reason: the only counter that moved, and by one.
func (k *kernel) feed(dir int, frame []byte, set ...func(*skb)) Reason {
	k.t.Helper()
	reason, err := k.try(dir, frame, set...)
	must(k.t, err)
	return reason
}

// try is feed, for frames that the kernel may refuse to run.
func (k *kernel) try(dir int, frame []byte, set ...func(*skb)) (Reason, error) {
	k.t.Helper()
	context := skb{Tstamp: k.now, Ifindex: k.link}
	for _, s := range set {
		s(&context)
	}
	program := k.Ingress
	if dir == flow.TX {
		program = k.Egress
	}
	before := k.reasons()
	got, err := program.Run(&ebpf.RunOptions{Data: frame, Context: &context})
	if err != nil {
		return 0, err
	}
	if int32(got) != -1 {
		k.t.Errorf("program returned %d, want TCX_NEXT, -1", int32(got))
	}
	return k.moved(dir, before, k.reasons())
}

// run is feed for many frames: nothing is checked but that the kernel took it.
func (k *kernel) run(dir int, frame []byte) error {
	program := k.Ingress
	if dir == flow.TX {
		program = k.Egress
	}
	_, err := program.Run(&ebpf.RunOptions{Data: frame, Context: &skb{Tstamp: k.now, Ifindex: k.link}})
	return err
}

func (k *kernel) reasons() Reasons {
	k.t.Helper()
	r, err := readReasons(k.Reasons)
	must(k.t, err)
	return r
}

func (k *kernel) moved(dir int, before, after Reasons) (Reason, error) {
	reason := reasonCount
	for d := range after {
		for r := range after[d] {
			switch after[d][r] - before[d][r] {
			case 0:
			case 1:
				if d != dir || reason != reasonCount {
					return 0, fmt.Errorf("another counter moved: direction %d, %v", d, Reason(r))
				}
				reason = Reason(r)
			default:
				return 0, fmt.Errorf("%v moved by %d", Reason(r), after[d][r]-before[d][r])
			}
		}
	}
	if reason == reasonCount {
		return 0, errors.New("no counter moved")
	}
	return reason, nil
}

// want feeds a frame and checks the reason.
func (k *kernel) want(reason Reason, dir int, frame []byte, set ...func(*skb)) {
	k.t.Helper()
	if got := k.feed(dir, frame, set...); got != reason {
		k.t.Fatalf("packet counted as %v, want %v", got, reason)
	}
}

func gso(size uint32) func(*skb) { return func(s *skb) { s.GSOSize = size } }

// record returns the flow table's record, with its lock word, which only counts writers, and its tag as 0.
func (k *kernel) record(key flow.Key) flow.Record {
	k.t.Helper()
	var r flow.Record
	if err := k.Flows.Lookup(key, &r); err != nil {
		k.t.Fatalf("look up %v: %v", key, err)
	}
	if r.Conn.Lock&1 != 0 {
		k.t.Errorf("lock word %d of %v stayed odd", r.Conn.Lock, key)
	}
	r.Conn.Lock, r.Conn.Tag = 0, 0
	return r
}

// conn returns an entry of the half-open or the UDP table.
func (k *kernel) conn(m *ebpf.Map, key flow.Key) flow.Conn {
	k.t.Helper()
	var c flow.Conn
	if err := m.Lookup(key, &c); err != nil {
		k.t.Fatalf("look up %v: %v", key, err)
	}
	if c.Lock&1 != 0 {
		k.t.Errorf("lock word %d of %v stayed odd", c.Lock, key)
	}
	c.Lock, c.Tag = 0, 0
	return c
}

func has[V any](m *ebpf.Map, key flow.Key) bool {
	var v V
	return m.Lookup(key, &v) == nil
}

func count[V any](t testing.TB, m *ebpf.Map) int {
	t.Helper()
	var key flow.Key
	var v V
	n := 0
	entries := m.Iterate()
	for entries.Next(&key, &v) {
		n++
	}
	must(t, entries.Err())
	return n
}

// same compares two values field by field, so that a failure names the figure.
func same(t testing.TB, got, want any) {
	t.Helper()
	for _, line := range differences("", reflect.ValueOf(got), reflect.ValueOf(want)) {
		t.Error(line)
	}
}

func differences(path string, got, want reflect.Value) (lines []string) {
	switch got.Kind() {
	case reflect.Struct:
		for i := range got.NumField() {
			lines = append(lines, differences(path+"."+got.Type().Field(i).Name, got.Field(i), want.Field(i))...)
		}
	case reflect.Array:
		for i := range got.Len() {
			lines = append(lines, differences(fmt.Sprintf("%s[%d]", path, i), got.Index(i), want.Index(i))...)
		}
	default:
		if !got.Equal(want) {
			lines = append(lines, fmt.Sprintf("%s is %v, want %v", path, got, want))
		}
	}
	return lines
}
