package bpf

import (
	"fmt"
	"hash/fnv"
	"sync"

	"github.com/cilium/ebpf/btf"
)

// meaning counts the changes of what fields mean that neither their names nor their places show. 1: KNOWN_KIND.
const meaning = 1

// Layout returns the hash of the structures that the kernel program and its readers share: names, offsets and sizes of
// every field, taken from the type information of the embedded object, and what they mean. Tables of another layout are not read.
func Layout() (uint64, error) { return layout() }

var layout = sync.OnceValues(func() (uint64, error) { //nolint:gochecknoglobals // computed once from embedded bytes
	spec, err := loadFivetuple()
	if err != nil {
		return 0, err
	}
	hash := fnv.New64a()
	fmt.Fprintf(hash, "meaning %d\n", meaning)
	for _, name := range []string{"flow_key", "flow_record", "handshake", "holes", "source", "verdict_key", "verdict", "table_counts", "meta"} {
		var shared *btf.Struct
		if err := spec.Types.TypeByName(name, &shared); err != nil {
			return 0, fmt.Errorf("find struct %s in the object: %w", name, err)
		}
		describe(hash, name, 0, shared)
	}
	return hash.Sum64(), nil
})

// describe writes a line for each field, nested ones with their path.
func describe(w interface{ Write([]byte) (int, error) }, path string, offset uint32, t btf.Type) {
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		for _, m := range t.Members {
			describe(w, path+"."+m.Name, offset+m.Offset.Bytes(), m.Type)
		}
	case *btf.Array:
		fmt.Fprintf(w, "%s[%d]\n", path, t.Nelems)
		describe(w, path+"[0]", offset, t.Type)
	default:
		size, _ := btf.Sizeof(t)
		fmt.Fprintf(w, "%s %d %d\n", path, offset, size)
	}
}

// layoutDir returns the name of the folder that holds tables of a layout.
func layoutDir(layout uint64) string { return fmt.Sprintf("v%016x", layout) }
