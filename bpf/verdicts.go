package bpf

import (
	"errors"
	"fmt"
	"path/filepath"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"fivetuple/correlator/flow"
)

// ErrVerdictsFull means that there is no room for one more verdict.
var ErrVerdictsFull = errors.New("table of verdicts is full")

// Verdicts is the table of what is held against addresses and listeners.
type Verdicts struct{ table *ebpf.Map }

// OpenVerdicts opens the table below the folder of pins: for reading, which wants read permission on the pin alone, or for
// writing, too.
func OpenVerdicts(pins string, write bool) (*Verdicts, error) {
	hash, err := Layout()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(pins, layoutDir(hash), fivetupleMapVerdicts)
	m, err := ebpf.LoadPinnedMap(path, &ebpf.LoadPinOptions{ReadOnly: !write})
	if err != nil {
		return nil, fmt.Errorf("%w: open %s: %w", flow.ErrNoTable, path, err)
	}
	return &Verdicts{m}, nil
}

// Verdicts returns the agent's table.
func (a *Agent) Verdicts() *Verdicts { return &Verdicts{a.tables.Verdicts} }

// Put writes a verdict, in place of an earlier one.
func (v *Verdicts) Put(k flow.VerdictKey, to flow.Verdict) error {
	err := v.table.Update(unsafe.Pointer(&k), unsafe.Pointer(&to), ebpf.UpdateAny)
	if errors.Is(err, unix.E2BIG) {
		return ErrVerdictsFull
	}
	if err != nil {
		return fmt.Errorf("write verdict: %w", err)
	}
	return nil
}

// Delete removes a verdict, and returns whether there was one.
func (v *Verdicts) Delete(k flow.VerdictKey) (bool, error) {
	err := v.table.Delete(unsafe.Pointer(&k))
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("remove verdict: %w", err)
	}
	return true, nil
}

// Get returns a verdict, if there is one.
func (v *Verdicts) Get(k flow.VerdictKey) (to flow.Verdict, ok bool, err error) {
	err = v.table.Lookup(unsafe.Pointer(&k), unsafe.Pointer(&to))
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return to, false, nil
	}
	if err != nil {
		return to, false, fmt.Errorf("look up verdict: %w", err)
	}
	return to, true, nil
}

// Each calls a function for every verdict, expired ones too, until it fails.
func (v *Verdicts) Each(take func(flow.VerdictKey, *flow.Verdict) error) error {
	return eachEntry(v.table, take)
}

// Close lets go of the table. That of an agent is closed with the agent.
func (v *Verdicts) Close() error { return v.table.Close() }
