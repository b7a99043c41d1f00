package bpf

import (
	"errors"
	"fmt"
	"path/filepath"
	"unsafe"

	"github.com/cilium/ebpf"

	"fivetuple/correlator/flow"
)

// Counts are what the tables say of themselves, since they were made.
type Counts struct {
	Meta    flow.Meta // entries and evictions are those of the agent's last sweep
	Tables  [flow.Tables]flow.TableCounts
	Reasons Reasons
}

// Counts reads what the tables count. It opens them each time: they are not those that look-ups need, and a pin that cannot
// be read costs nothing but these figures.
func (r *Reader) Counts() (c Counts, err error) {
	for name, read := range map[string]func(*ebpf.Map) error{
		fivetupleMapMeta:    func(m *ebpf.Map) error { return m.Lookup(uint32(0), unsafe.Pointer(&c.Meta)) },
		fivetupleMapCounts:  func(m *ebpf.Map) (err error) { c.Tables, err = readTableCounts(m); return err },
		fivetupleMapReasons: func(m *ebpf.Map) (err error) { c.Reasons, err = readReasons(m); return err },
	} {
		m, err := ebpf.LoadPinnedMap(filepath.Join(r.dir, name), &ebpf.LoadPinOptions{ReadOnly: true})
		if err != nil {
			return Counts{}, r.explain(err)
		}
		if err := errors.Join(read(m), m.Close()); err != nil {
			return Counts{}, fmt.Errorf("%w: read %s: %w", flow.ErrNoTable, name, err)
		}
	}
	if c.Meta.Layout != r.hash {
		return Counts{}, fmt.Errorf("%w: %016x, known %016x", flow.ErrLayout, c.Meta.Layout, r.hash)
	}
	return c, nil
}
