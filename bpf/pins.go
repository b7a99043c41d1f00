package bpf

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// pins is the folder on a BPF file system through which others find the tables:
//
//	ROOT/vLAYOUT/{flows,half_open,udp,reasons,meta}   the tables of a layout
//	ROOT/vLAYOUT/ft_read                              the program that reads records of theirs
//	ROOT/links/IFINDEX_{ingress,egress}               the attachments, kept over restarts
type pins struct {
	root string
	mode os.FileMode
	gid  int
	lock *os.File
	// mounted: this agent mounted the file system
	mounted bool
}

// openPins makes the folder, mounts a BPF file system there if there is none, and takes the folder's lock: one agent
// writes below it.
func openPins(o PinOptions) (*pins, error) {
	mode, err := o.mode()
	if err != nil {
		return nil, err
	}
	gid, err := groupID(o.Group)
	if err != nil {
		return nil, err
	}
	p := &pins{root: o.Path, mode: mode, gid: gid}
	if err := p.open(); err != nil {
		if p.mounted {
			err = errors.Join(err, unix.Unmount(p.root, unix.MNT_DETACH))
		}
		return nil, err
	}
	return p, nil
}

func (p *pins) open() (err error) {
	if p.root, err = trustedPath(p.root); err != nil {
		return err
	}
	if err := p.mount(); err != nil {
		return err
	}
	if err := p.mkdir(p.root); err != nil {
		return err
	}
	p.lock, err = lockDir(p.root)
	return err
}

// renew makes the folder again, with its lock, if it is no longer there.
func (p *pins) renew() error {
	there, err := os.Stat(p.root)
	locked, lockErr := p.lock.Stat()
	if err == nil && lockErr == nil && os.SameFile(there, locked) {
		return nil
	}
	old := p.lock
	if err := p.open(); err != nil {
		p.lock = old
		return err
	}
	return old.Close()
}

// dir is the folder of a layout's tables.
func (p *pins) dir(layout uint64) string { return filepath.Join(p.root, layoutDir(layout)) }

func (p *pins) Close() error { return p.lock.Close() }

// groupID returns the number of a group given by name or number; the agent's own for none. That is named, too: a file system that
// somebody else has mounted is his group's.
func groupID(name string) (int, error) {
	if name == "" {
		return os.Getegid(), nil
	}
	if gid, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(gid), nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, fmt.Errorf("pins.group: %q is neither a number nor a group of this host: %w", name, err)
	}
	return strconv.Atoi(g.Gid)
}

// mount makes root part of a BPF file system.
func (p *pins) mount() error {
	if isBPFFS(p.root) || isBPFFS(filepath.Dir(p.root)) {
		return nil
	}
	if err := os.Mkdir(p.root, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make folder for pins: %w", err)
	}
	if err := unix.Mount("bpf", p.root, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0755"); err != nil {
		return fmt.Errorf("mount a BPF file system on %s (wants CAP_SYS_ADMIN; or mount it beforehand: mount -t bpf bpf %s): %w",
			p.root, p.root, err)
	}
	p.mounted = true
	return nil
}

// remove takes away the tables of a layout and the attachments, and the file system if this agent mounted it.
func (p *pins) remove(layout uint64) error {
	errs := []error{
		os.RemoveAll(p.dir(layout)),
		os.RemoveAll(filepath.Join(p.root, "links")),
	}
	if p.lock != nil {
		errs = append(errs, p.lock.Close())
	}
	if p.mounted && len(p.otherLayouts("")) == 0 {
		errs = append(errs, unix.Unmount(p.root, unix.MNT_DETACH))
	}
	return errors.Join(errs...)
}

func isBPFFS(path string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(path, &fs) == nil && fs.Type == unix.BPF_FS_MAGIC
}

// mkdir makes a folder that those may enter who may read the pins.
func (p *pins) mkdir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make folder for pins: %w", err)
	}
	if err := trusted(path); err != nil { // a BPF file system that was mounted without options is everybody's
		return err
	}
	search := p.mode >> 2 & 0o111 // x where the pins have r
	return p.own(path, 0o700|p.mode|search)
}

func (p *pins) own(path string, mode os.FileMode) error {
	if err := os.Chown(path, -1, p.gid); err != nil {
		return fmt.Errorf("give pin to group: %w", err)
	}
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("set mode of pin: %w", err)
	}
	return nil
}

// lockDir takes a lock on a folder that ends with the process.
func lockDir(path string) (*os.File, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open folder of pins: %w", err)
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: another agent keeps its tables there: %w", path, err), dir.Close())
	}
	return dir, nil
}

// pinned opens the table of a name if it is there and is as wanted; a table that is not goes, for a new one.
func (p *pins) pinned(dir string, spec *ebpf.MapSpec) (*ebpf.Map, error) {
	path := filepath.Join(dir, spec.Name)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil, nil //nolint:nilnil // no table is no error
	}
	// First, because an earlier version pinned tables that their owner may only read: without CAP_DAC_OVERRIDE, which an
	// agent does not need for anything else, they could not be opened.
	if err := p.own(path, p.mode); err != nil {
		return nil, err
	}
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		return nil, fmt.Errorf("open pinned table %s: %w", path, err)
	}
	if err := spec.Compatible(m); err != nil {
		return nil, errors.Join(m.Close(), os.Remove(path))
	}
	return m, nil
}

// pin gives a table its name and permissions.
func (p *pins) pin(dir, name string, m *ebpf.Map) error {
	path := filepath.Join(dir, name)
	if err := m.Pin(path); err != nil {
		return fmt.Errorf("pin table: %w", err)
	}
	return p.own(path, p.mode)
}

// hasTables reports whether the tables of a layout are pinned.
func (p *pins) hasTables(layout uint64) bool {
	_, err := os.Stat(filepath.Join(p.dir(layout), fivetupleMapFlows))
	return err == nil
}

// otherLayouts returns the folders of tables of other layouts than the given one.
func (p *pins) otherLayouts(keep string) []string {
	entries, _ := os.ReadDir(p.root)
	var dirs []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "v") && e.Name() != keep {
			dirs = append(dirs, filepath.Join(p.root, e.Name()))
		}
	}
	return dirs
}
