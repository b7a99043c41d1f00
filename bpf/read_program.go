package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
)

// readPin is the pin of the program that reads records, beside the tables. It stands for the program's context, too:
// who changes struct reading gives the program another name, so that no reader of the old one runs it.
const readPin = fivetupleProgFtRead

// publishRead loads the program that reads the table of flows, and pins it in the place of an earlier agent's, which its
// readers go on using until they have found the new one. Without it they read every record twice.
func (t *tables) publishRead(p *pins, dir string) error {
	path := filepath.Join(dir, readPin)
	program, err := loadRead(t.Flows)
	if err != nil {
		if gone := os.Remove(path); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
		return err
	}
	return errors.Join(p.replace(path, program), program.Close())
}

func loadRead(flows *ebpf.Map) (*ebpf.Program, error) {
	spec, err := loadFivetuple()
	if err != nil {
		return nil, fmt.Errorf("read the embedded object: %w", err)
	}
	return loadReadOf(spec, flows)
}

func loadReadOf(spec *ebpf.CollectionSpec, flows *ebpf.Map) (*ebpf.Program, error) {
	spec.Maps[fivetupleMapFlows].MaxEntries = flows.MaxEntries()
	var loaded struct {
		Read *ebpf.Program `ebpf:"ft_read"`
	}
	over := map[string]*ebpf.Map{fivetupleMapFlows: flows}
	if err := spec.LoadAndAssign(&loaded, &ebpf.CollectionOptions{MapReplacements: over}); err != nil {
		return nil, fmt.Errorf("load the program that reads records: %w", err)
	}
	return loaded.Read, nil
}

// replace gives a program a name and permissions in one step, whatever had the name.
func (p *pins) replace(path string, program *ebpf.Program) error {
	fresh := path + "_new" // a BPF file system refuses names with dots
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what a start that was cut short left: %w", err)
	}
	if err := program.Pin(fresh); err != nil {
		return fmt.Errorf("pin program: %w", err)
	}
	err := p.own(fresh, p.mode)
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("pin program: %w", err), os.Remove(fresh))
	}
	return nil
}

// openRead opens the pinned program if there is one that this process may run and that reads this table of flows: an
// agent that knew of no such program may have made the table anew.
func openRead(dir string, flows *ebpf.Map) *ebpf.Program {
	program, err := ebpf.LoadPinnedProgram(filepath.Join(dir, readPin), &ebpf.LoadPinOptions{ReadOnly: true})
	if err != nil {
		return nil
	}
	_, err = newScratch().runOnce(program)
	if err != nil || !reads(program, flows) {
		_ = program.Close()
		return nil
	}
	return program
}

// reads says whether a program is the one that reads records, and the table that it was loaded over: that is its first
// one, because tables that others bind to it (BPF_PROG_BIND_MAP) come behind.
func reads(program *ebpf.Program, flows *ebpf.Map) bool {
	info, err := program.Info()
	if err != nil || info.Type != ebpf.Syscall || info.Name != readPin {
		return false
	}
	table, err := flows.Info()
	if err != nil {
		return false
	}
	want, ok := table.ID()
	ids, known := info.MapIDs()
	return ok && known && slices.Index(ids, want) == 0
}
