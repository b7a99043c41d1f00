package main

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// kernel is an unpacked kernel.
type kernel struct {
	release string            // as uname -r prints it
	arch    string            // Debian's name
	image   string            // path of its compressed image
	modules map[string]string // paths by name, with underscores
}

// loadedModules returns the modules that the checks need: the guest loads nothing by itself.
func loadedModules() []string {
	return []string{"veth", "tun", "sch_ingress", "cls_bpf", "bridge", "8021q", "bonding", "dummy", "vrf", "macvlan", "sch_fq", "sch_netem", "af_packet", "inet_diag", "tcp_diag", "udp_diag", "netlink_diag", "unix_diag"}
}

// readKernel finds image and modules in the folder of an unpacked kernel.
func readKernel(root, release string) (kernel, error) {
	k := kernel{release: release, modules: make(map[string]string)}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		switch {
		case err != nil || d.IsDir():
			return err
		case strings.HasPrefix(name, "vmlinuz"):
			k.image = path
		case strings.Contains(name, ".ko"):
			base, _, _ := strings.Cut(name, ".ko")
			k.modules[strings.ReplaceAll(base, "-", "_")] = path
		}
		return nil
	})
	if err != nil {
		return k, err
	}
	if k.image == "" {
		return k, fmt.Errorf("%s holds no vmlinuz", root)
	}
	return k, nil
}

// module is one to be loaded.
type module struct {
	name string
	code []byte
}

// load returns the modules of a list in the order in which they can be loaded. What the kernel has built in is left out.
func (k kernel) load(names []string) ([]module, error) {
	var order []module
	done := make(map[string]bool)
	var add func(name string) error
	add = func(name string) error {
		name = strings.ReplaceAll(name, "-", "_")
		path := k.modules[name]
		if done[name] || path == "" {
			return nil
		}
		done[name] = true
		code, err := readModule(path)
		if err != nil {
			return err
		}
		needs, err := dependencies(code)
		if err != nil {
			return fmt.Errorf("read module %s: %w", path, err)
		}
		for _, need := range needs {
			if err := add(need); err != nil {
				return err
			}
		}
		order = append(order, module{name, code})
		return nil
	}
	for _, name := range names {
		if err := add(name); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// readModule returns a module's code. Debian compresses it from 6.12 on.
func readModule(path string) ([]byte, error) {
	if strings.HasSuffix(path, ".xz") {
		return command(exec.Command("xz", "-dc", path))
	}
	return os.ReadFile(path)
}

// dependencies returns the modules that a module names in its .modinfo (kernel: include/linux/module.h, MODULE_INFO).
func dependencies(code []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(code))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, errors.New("no section .modinfo")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	for field := range bytes.SplitSeq(info, []byte{0}) {
		if list, ok := bytes.CutPrefix(field, []byte("depends=")); ok && len(list) > 0 {
			return strings.Split(string(list), ","), nil
		}
	}
	return nil, nil
}
