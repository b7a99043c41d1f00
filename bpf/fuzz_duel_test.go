package bpf

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
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
	always  bool // compares everything after every packet
}

func newDuel(t testing.TB, midstream string, room uint32, captures bool) *duel {
	t.Helper()
	o := testOptions()
	o.Midstream = midstream
	const all = 1 << 16 // nothing is evicted
	o.Tables = TableOptions{Flows: room, HalfOpen: all, UDP: all, Sources: all, Holes: room, Verdicts: minEntries}
	return &duel{
		kernel: newRawKernel(t, o, captures),
		model:  newModel(midstream == MidstreamAny, int(room), int(room)),
	}
}

// packet feeds one, and compares the counters, and now and then the entries of its 5-tuple.
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
	switch {
	case !d.always && d.packets%compareEvery != 0:
		return nil
	case key.Proto == flow.UDP:
		return compareConn(d.kernel.UDP, "udp", key, d.model.udp[key])
	}
	return d.compareAll(key)
}

// compareEvery bounds the look-ups, which take as long as the packets: what is wrong mostly stays so.
const compareEvery = 6

// compareAll compares what all tables have of a TCP connection.
func (d *duel) compareAll(key flow.Key) error {
	if err := d.compareFlow(key); err != nil {
		return err
	}
	if err := d.compareHandshake(key, d.model.halfOpen[key]); err != nil {
		return err
	}
	if f := d.model.flows[key]; f != nil {
		for dir := range f.conn.missing {
			if err := d.compareHoles(key, dir, &f.conn.missing[dir]); err != nil {
				return err
			}
		}
	}
	return d.compareSource(key.Remote)
}

func (d *duel) compareFlow(key flow.Key) error {
	want := d.model.flows[key]
	if want == nil {
		return isThere(d.kernel.Flows, "flows", key, new(flow.Record), false)
	}
	var got flow.Record
	if err := isThere(d.kernel.Flows, "flows", key, &got, true); err != nil {
		return err
	}
	if got.Conn.Lock&1 != 0 {
		return fmt.Errorf("flow %v: lock word %d stayed odd", key, got.Conn.Lock)
	}
	got.Conn.Lock, got.Conn.Tag = 0, 0
	return differ("flows", key, got, want.record())
}

func compareConn(m *ebpf.Map, table string, key flow.Key, want *modelConn) error {
	var got flow.Conn
	if err := isThere(m, table, key, &got, want != nil); err != nil || want == nil {
		return err
	}
	if got.Lock&1 != 0 {
		return fmt.Errorf("%s %v: lock word %d stayed odd", table, key, got.Lock)
	}
	got.Lock, got.Tag = 0, 0
	return differ(table, key, got, want.Conn)
}

func (d *duel) compareHandshake(key flow.Key, want *modelConn) error {
	var got flow.Handshake
	if err := isThere(d.kernel.HalfOpen, "half-open", key, &got, want != nil); err != nil || want == nil {
		return err
	}
	if got.Conn.Lock&1 != 0 {
		return fmt.Errorf("half-open %v: lock word %d stayed odd", key, got.Conn.Lock)
	}
	got.Conn.Lock, got.Conn.Tag = 0, 0
	return differ("half-open", key, got, flow.Handshake{Conn: want.Conn, Other: want.rivals, RTT: want.rtt})
}

// isThere reads an entry that is to be there, or not.
func isThere[K, V any](m *ebpf.Map, table string, key K, value *V, want bool) error {
	found, err := read(m, &key, value)
	if err == nil && found != want {
		err = fmt.Errorf("%s %v: in the table: %v, in the model: %v", table, key, found, want)
	}
	return err
}

// differ says which fields of two values do.
func differ[K any, V comparable](table string, key K, got, want V) error {
	if got == want {
		return nil
	}
	return fmt.Errorf("%s %v: %s", table, key,
		strings.Join(differences("", reflect.ValueOf(got), reflect.ValueOf(want)), "; "))
}

func (d *duel) compareHoles(key flow.Key, dir int, want *modelHoles) error {
	if len(want.holes) == 0 {
		return nil
	}
	key.Pad[0] = uint8(dir)
	var got flow.Holes
	if err := isThere(d.kernel.Holes, "holes", key, &got, true); err != nil {
		return err
	}
	list := slices.DeleteFunc(got.At[:], func(h flow.Hole) bool { return h.Start == h.End })
	wanted := want.listed()
	for _, l := range [][]flow.Hole{list, wanted} {
		slices.SortFunc(l, func(a, b flow.Hole) int { return cmp.Compare(a.Start, b.Start) })
	}
	if !slices.Equal(list, wanted) {
		return fmt.Errorf("holes %v: %v, want %v", key, list, wanted)
	}
	return nil
}

// entries compares those of all tables, so that the kernel has none but the model's.
func (d *duel) entries() error {
	m, k := d.model, d.kernel
	flows, err := keysOf[flow.Key, flow.Record](k.Flows)
	halfOpen, err2 := keysOf[flow.Key, flow.Handshake](k.HalfOpen)
	udp, err3 := keysOf[flow.Key, flow.Conn](k.UDP)
	sources, err4 := keysOf[[16]byte, flow.Source](k.Sources)
	holes, err5 := keysOf[flow.Key, flow.Holes](k.Holes)
	if err := errors.Join(err, err2, err3, err4, err5); err != nil {
		return err
	}
	got := [flow.Tables]int{len(flows), len(halfOpen), len(udp), len(sources), len(holes)}
	want := [flow.Tables]int{len(m.flows), len(m.halfOpen), len(m.udp), len(m.sources), m.holes.used}
	if got != want {
		return fmt.Errorf("entries of flows, half-open, UDP, sources, holes: %v, want %v", got, want)
	}
	for _, key := range slices.Concat(flows, halfOpen) {
		if err := d.compareAll(key); err != nil {
			return err
		}
	}
	for _, key := range udp {
		if err := compareConn(k.UDP, "udp", key, m.udp[key]); err != nil {
			return err
		}
	}
	for _, address := range sources {
		if err := d.compareSource(address); err != nil {
			return err
		}
	}
	return nil
}

func (d *duel) compareSource(address [16]byte) error {
	want := d.model.sources[address]
	var got flow.Source
	if err := isThere(d.kernel.Sources, "sources", address, &got, want != nil); err != nil || want == nil {
		return err
	}
	return differ("sources", address, got, *want)
}

// sums checks that each packet left by one exit, and what was counted of the tables.
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
	counts, err := readTableCounts(d.kernel.Counts)
	if err != nil {
		return err
	}
	return differ("counts", "", counts, d.model.counts)
}

// forget empties all tables, by the program's own way out where there is one, and checks that holes go with their flows.
func (d *duel) forget() error {
	errs := []error{
		removeAll[flow.Record](d, d.kernel.Flows, flow.TableFlows),
		removeAll[flow.Handshake](d, d.kernel.HalfOpen, flow.TableHalfOpen),
		removeAll[flow.Conn](d, d.kernel.UDP, flow.TableUDP),
	}
	addresses, err := keysOf[[16]byte, flow.Source](d.kernel.Sources)
	for i := range addresses {
		errs = append(errs, d.kernel.Sources.Delete(&addresses[i]))
	}
	d.model.forget()
	holes, err2 := keysOf[flow.Key, flow.Holes](d.kernel.Holes)
	for i := range holes {
		errs = append(errs, fmt.Errorf("holes without their flow: %v", holes[i]), d.kernel.Holes.Delete(&holes[i]))
	}
	return errors.Join(append(errs, err, err2)...)
}

func removeAll[V any](d *duel, m *ebpf.Map, table uint32) error {
	keys, err := keysOf[flow.Key, V](m)
	for _, key := range keys {
		gone, failed := d.kernel.remove(&removal{Key: key, Table: table, SilentSince: math.MaxUint64})
		if err = errors.Join(err, failed); !gone {
			err = errors.Join(err, fmt.Errorf("%v was not removed from table %d", key, table))
		}
		d.model.counts[table].Removed++
	}
	return err
}

func keysOf[K, V any](m *ebpf.Map) (keys []K, err error) {
	err = eachEntry(m, func(k K, _ *V) error {
		keys = append(keys, k)
		return nil
	})
	return keys, err
}
