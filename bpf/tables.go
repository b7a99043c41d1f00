package bpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/cilium/ebpf"

	"fivetuple/correlator/flow"
)

// tables are the programs and maps, loaded. Their owner is the only one who writes.
type tables struct {
	Ingress  *ebpf.Program `ebpf:"ft_ingress"`
	Egress   *ebpf.Program `ebpf:"ft_egress"`
	Remove   *ebpf.Program `ebpf:"ft_remove"`
	Flows    *ebpf.Map     `ebpf:"flows"`
	HalfOpen *ebpf.Map     `ebpf:"half_open"`
	UDP      *ebpf.Map     `ebpf:"udp"`
	Sources  *ebpf.Map     `ebpf:"sources"`
	Holes    *ebpf.Map     `ebpf:"holes"`
	Verdicts *ebpf.Map     `ebpf:"verdicts"`
	Counts   *ebpf.Map     `ebpf:"counts"`
	Reasons  *ebpf.Map     `ebpf:"reasons"`
	Meta     *ebpf.Map     `ebpf:"meta"`
}

// load verifies and loads the programs, with new maps or the given ones in their place.
func load(spec *ebpf.CollectionSpec, existing map[string]*ebpf.Map) (*tables, error) {
	var t tables
	if err := spec.LoadAndAssign(&t, &ebpf.CollectionOptions{MapReplacements: existing}); err != nil {
		return nil, explain("load the kernel program", err)
	}
	return &t, nil
}

func (t *tables) Close() error {
	errs := []error{t.Ingress.Close(), t.Egress.Close(), t.Remove.Close()}
	for _, m := range t.shared() {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// configure returns the object with the options' capacities and switches.
func configure(o Options) (*ebpf.CollectionSpec, error) {
	spec, err := loadFivetuple()
	if err != nil {
		return nil, fmt.Errorf("read the embedded object: %w", err)
	}
	for table, entries := range o.Tables.capacities() {
		spec.Maps[flow.TableName(table)].MaxEntries = entries
	}
	spec.Maps[fivetupleMapVerdicts].MaxEntries = o.Tables.Verdicts
	if err := spec.Variables[fivetupleVarMidstreamAny].Set(o.Midstream == MidstreamAny); err != nil {
		return nil, fmt.Errorf("set midstream: %w", err)
	}
	if err := spec.Variables[fivetupleVarStoresInOrder].Set(runtime.GOARCH == "amd64"); err != nil {
		return nil, fmt.Errorf("set the order of stores: %w", err)
	}
	if err := spec.Variables[fivetupleVarFirstPayloadOff].Set(o.FirstPayload == FirstPayloadOff); err != nil {
		return nil, fmt.Errorf("set first_payload: %w", err)
	}
	return spec, nil
}

// loadPinned loads the programs over the tables that an earlier agent left, where these still fit, and pins the others. The
// earlier agent's interfaces stay in meta, as their programs stay attached, until this one has looked itself.
func loadPinned(o Options, meta *flow.Meta, p *pins, now func() uint64) (*tables, error) {
	spec, err := configure(o)
	if err != nil {
		return nil, err
	}
	dir := p.dir(meta.Layout)
	if err := p.mkdir(dir); err != nil {
		return nil, err
	}
	existing := make(map[string]*ebpf.Map)
	defer func() {
		for _, m := range existing { // load has made its own references
			_ = m.Close()
		}
	}()
	for _, shared := range (&tables{}).shared() {
		m, err := p.pinned(dir, spec.Maps[shared.name])
		if err != nil {
			return nil, err
		}
		if m != nil {
			existing[shared.name] = m
		}
	}
	t, err := load(spec, existing)
	if err != nil {
		return nil, err
	}
	var before flow.Meta
	if existing[fivetupleMapMeta] != nil && t.Meta.Lookup(uint32(0), &before) == nil {
		meta.Interfaces, meta.Loopback = before.Interfaces, before.Loopback
	}
	meta.Heartbeat = now() // loading may have taken longer than a reader waits for a heartbeat
	if err := t.publish(p, dir, meta); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// publish pins what is not pinned yet. The meta table is written first, and the flows, which readers look for, come last.
func (t *tables) publish(p *pins, dir string, meta *flow.Meta) error {
	if err := t.writeMeta(meta); err != nil {
		return err
	}
	for _, m := range t.shared() {
		if _, err := os.Stat(filepath.Join(dir, m.name)); err == nil {
			continue // an earlier agent's, opened by pinned
		}
		if err := p.pin(dir, m.name, m.Map); err != nil {
			return err
		}
	}
	return nil
}

// republish pins the tables again, some or all of whose pins are gone.
func (t *tables) republish(p *pins, dir string) error {
	if err := p.mkdir(dir); err != nil {
		return err
	}
	for _, m := range t.shared() {
		if err := m.Unpin(); err != nil { // package ebpf would take it for pinned
			return fmt.Errorf("unpin table: %w", err)
		}
		if err := p.pin(dir, m.name, m.Map); err != nil {
			return err
		}
	}
	return nil
}

// named is a table by its name, which is that of its pin.
type named struct {
	name string
	*ebpf.Map
}

// shared returns the tables that others read, in the order in which they are pinned.
func (t *tables) shared() []named {
	return []named{
		{fivetupleMapMeta, t.Meta},
		{fivetupleMapReasons, t.Reasons},
		{fivetupleMapCounts, t.Counts},
		{fivetupleMapSources, t.Sources},
		{fivetupleMapHoles, t.Holes},
		{fivetupleMapVerdicts, t.Verdicts},
		{fivetupleMapUdp, t.UDP},
		{fivetupleMapHalfOpen, t.HalfOpen},
		{fivetupleMapFlows, t.Flows},
	}
}
