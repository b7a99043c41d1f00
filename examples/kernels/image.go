package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"fivetuple/examples/kernels/task"
)

// image is what all guests of an architecture run from: an archive without the modules and the checks of one of them.
type image struct {
	base []byte
}

// newImages returns an image for each architecture of the kernels.
func newImages(o options, kernels []kernel) (map[string]*image, error) {
	images := make(map[string]*image)
	for _, k := range kernels {
		if images[k.arch] != nil {
			continue
		}
		var err error
		if images[k.arch], err = newImage(o, k.arch); err != nil {
			return nil, err
		}
	}
	return images, nil
}

// programs are the static programs that a guest has in bin, beside its first process.
func programs() []string {
	return []string{"fivetuple", "demo", "conformance", "bpf.test", "stack.test"}
}

// hostTools are the programs of this host that the tests start. They are taken with the libraries that they are linked to.
func hostTools() []string {
	return []string{"ip", "tc", "bpftool", "unshare", "sh"}
}

// newImage reads everything from this host. Its tools are for its own architecture alone.
func newImage(o options, arch string) (*image, error) {
	bin := o.bin
	if arch != runtime.GOARCH {
		bin = filepath.Join(o.bin, arch)
	}
	var c cpio
	c.device("dev/console", 5, 1)
	c.device("dev/null", 1, 3)
	guest, err := os.ReadFile(filepath.Join(bin, "kernels-guest"))
	if err != nil {
		return nil, fmt.Errorf("%w: build it by make kernels", err)
	}
	c.file("init", 0o755, guest)
	for _, name := range programs() {
		code, err := os.ReadFile(filepath.Join(bin, name))
		if err != nil {
			return nil, fmt.Errorf("%w: build it by make kernels", err)
		}
		c.file(filepath.Join(task.Source, "bin", name)[1:], 0o755, code)
	}
	c.file("etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"))
	c.file("etc/group", 0o644, []byte("root:x:0:\nnogroup:x:65534:\n"))
	c.file("etc/hosts", 0o644, []byte("127.0.0.1 localhost\n::1 localhost\n"))
	c.folder("root")
	if arch == runtime.GOARCH {
		if err := addTools(&c, hostTools()); err != nil {
			return nil, err
		}
	}
	if err := addSource(&c); err != nil {
		return nil, err
	}
	if err := addCaptures(&c, o.pcaps); err != nil {
		return nil, err
	}
	return &image{base: c.bytes()}, nil
}

// addTools adds programs at the paths that they have here, and the libraries that ldd names.
func addTools(c *cpio, names []string) error {
	done := make(map[string]bool)
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			return fmt.Errorf("find a program for the guest: %w", err)
		}
		linked, err := command(exec.Command("ldd", path))
		if err != nil {
			return err
		}
		needs := []string{path}
		for field := range strings.FieldsSeq(string(linked)) {
			if strings.HasPrefix(field, "/") {
				needs = append(needs, field)
			}
		}
		for _, need := range needs {
			if done[need] {
				continue
			}
			done[need] = true
			content, err := os.ReadFile(need) // through symbolic links
			if err != nil {
				return err
			}
			c.file(need[1:], 0o755, content)
		}
	}
	return nil
}

// addSource adds the project's files, as the tests read them.
func addSource(c *cpio) error {
	list, err := command(exec.Command("git", "ls-files", "-z"))
	if err != nil {
		return fmt.Errorf("list the project's files: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		c.file(filepath.Join(task.Source, name)[1:], 0o644, content)
	}
	return nil
}

// addCaptures adds captures with all that belongs to them.
func addCaptures(c *cpio, folder string) error {
	if folder == "" {
		return nil
	}
	for _, name := range replayed() {
		files, err := filepath.Glob(filepath.Join(folder, name+"*"))
		if err != nil || len(files) == 0 {
			return fmt.Errorf("%s holds no capture %s", folder, name)
		}
		for _, path := range files {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			c.file(filepath.Join(task.Captures, filepath.Base(path))[1:], 0o644, content)
		}
	}
	return nil
}

// forKernel writes the archive of one guest: the base, and what is its own behind it, which the kernel unpacks as well.
func (i *image) forKernel(path string, k kernel, checks []task.Check) error {
	modules, err := k.load(loadedModules())
	if err != nil {
		return err
	}
	var c cpio
	boot := task.Boot{Checks: checks}
	for _, m := range modules {
		name := "modules/" + m.name + ".ko"
		c.file(name, 0o644, m.code)
		boot.Modules = append(boot.Modules, "/"+name)
	}
	data, err := json.Marshal(boot)
	if err != nil {
		return err
	}
	c.file(task.File[1:], 0o644, data)
	return os.WriteFile(path, append(append([]byte(nil), i.base...), c.bytes()...), fs.FileMode(0o644))
}
