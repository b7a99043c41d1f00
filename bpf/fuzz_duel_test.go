package bpf

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"fivetuple/correlator/flow"
)

// duel gives the same packets to the kernel program and to the model, and says where they differ.
type duel struct {
	kernel  *rawKernel
	model   *model
	packets uint64 // that the kernel took
	refused uint64
}

func newDuel(t testing.TB, room uint32, midstream string) *duel {
	t.Helper()
	o := testOptions()
	o.Midstream = midstream
	o.Tables = TableOptions{Flows: room, HalfOpen: 1 << 16, UDP: 1 << 16} // nothing is evicted
	return &duel{kernel: newRawKernel(t, o), model: newModel(midstream == MidstreamAny, int(room))}
}

// packet feeds one, and compares the counters and the entries of its 5-tuple.
func (d *duel) packet(in *input) error {
	err := d.kernel.feed(in)
	if errors.Is(err, errRefused) && len(in.frame) < 54 {
		d.refused++
		return nil
	}
	if err != nil {
		return err
	}
	d.packets++
	key, has := d.model.take(in)
	got, err := d.kernel.counted()
	if err != nil {
		return err
	}
	if got != d.model.reasons {
		return fmt.Errorf("counters: %s", strings.Join(
			differences("", reflect.ValueOf(got), reflect.ValueOf(d.model.reasons)), "; "))
	}
	if !has {
		return nil
	}
	return d.compare(key)
}

func (d *duel) compare(key flow.Key) error {
	if key.Proto == flow.UDP {
		return compareConn(d.kernel.UDP, "udp", key, d.model.udp[key])
	}
	if err := compareConn(d.kernel.HalfOpen, "half-open", key, d.model.halfOpen[key]); err != nil {
		return err
	}
	var got flow.Record
	found, err := entry(d.kernel.Flows, &key, &got)
	want := d.model.flows[key]
	if err != nil || found != (want != nil) {
		return fmt.Errorf("flow %v: in the table: %v, %w, in the model: %v", key, found, err, want != nil)
	}
	if !found {
		return nil
	}
	return compareRecords(key, &got, want.record())
}

func compareRecords(key flow.Key, got *flow.Record, want flow.Record) error {
	if got.Conn.Lock&1 != 0 {
		return fmt.Errorf("flow %v: lock word %d stayed odd", key, got.Conn.Lock)
	}
	got.Conn.Lock = 0
	if *got == want {
		return nil
	}
	return fmt.Errorf("flow %v: %s", key, strings.Join(differences("", reflect.ValueOf(*got), reflect.ValueOf(want)), "; "))
}

func compareConn(m *ebpf.Map, table string, key flow.Key, want *modelConn) error {
	var got flow.Conn
	found, err := entry(m, &key, &got)
	if err != nil || found != (want != nil) {
		return fmt.Errorf("%s %v: in the table: %v, %w, in the model: %v", table, key, found, err, want != nil)
	}
	if !found {
		return nil
	}
	if got.Lock&1 != 0 {
		return fmt.Errorf("%s %v: lock word %d stayed odd", table, key, got.Lock)
	}
	got.Lock = 0
	if got == want.Conn {
		return nil
	}
	return fmt.Errorf("%s %v: %s", table, key,
		strings.Join(differences("", reflect.ValueOf(got), reflect.ValueOf(want.Conn)), "; "))
}

// tables compares all entries, so that the kernel has none but the model's.
func (d *duel) tables() error {
	var keys []flow.Key
	flows, err := keysOf[flow.Record](d.kernel.Flows)
	halfOpen, err2 := keysOf[flow.Conn](d.kernel.HalfOpen)
	udp, err3 := keysOf[flow.Conn](d.kernel.UDP)
	if err := errors.Join(err, err2, err3); err != nil {
		return err
	}
	got := [3]int{len(flows), len(halfOpen), len(udp)}
	if want := [3]int{len(d.model.flows), len(d.model.halfOpen), len(d.model.udp)}; got != want {
		return fmt.Errorf("flows, half-open and UDP entries: %v, want %v", got, want)
	}
	for _, key := range append(append(append(keys, flows...), halfOpen...), udp...) {
		if err := d.compare(key); err != nil {
			return err
		}
	}
	return d.sums()
}

// sums checks that each packet left by one exit.
func (d *duel) sums() error {
	counted, err := d.kernel.counted()
	if err != nil {
		return err
	}
	var sum uint64
	for dir := range counted {
		for _, n := range counted[dir] {
			sum += n
		}
	}
	if sum != d.packets {
		return fmt.Errorf("%d packets, and %d counted", d.packets, sum)
	}
	return nil
}

// forget empties all tables.
func (d *duel) forget() error {
	return errors.Join(
		clearTable[flow.Record](d.kernel.Flows), clearTable[flow.Conn](d.kernel.HalfOpen), clearTable[flow.Conn](d.kernel.UDP),
		func() error { d.model.forget(); return nil }())
}

func keysOf[V any](m *ebpf.Map) (keys []flow.Key, err error) {
	err = eachEntry(m, func(k flow.Key, _ *V) { keys = append(keys, k) })
	return keys, err
}

func clearTable[V any](m *ebpf.Map) error {
	keys, err := keysOf[V](m)
	for i := range keys {
		err = errors.Join(err, m.Delete(&keys[i]))
	}
	return err
}
