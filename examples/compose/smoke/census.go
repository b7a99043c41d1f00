package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

// census is what there is in the namespaces, by kind and name: processes, mounts, network namespaces, interfaces, rules of iptables,
// cgroups, containers, volumes, networks, and pins.
type census map[string]int

// settleWait is how long helpers of podman may take to end after a step.
const settleWait = 10 * time.Second

var (
	identity = regexp.MustCompile(`[0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	number   = regexp.MustCompile(`\d+`)
)

func (e *engine) census(ctx context.Context) (census, error) {
	c := census{}
	for _, count := range []func() error{
		func() error { return c.processes() },
		func() error { return c.mounts() },
		func() error { return c.files("network namespace", "/run/netns/netns-*") },
		func() error { return c.pins(e.path("graph/volumes")) },
		func() error { return c.interfaces() },
		func() error { return c.rules(ctx, e) },
		func() error { return c.containers(ctx, e) },
		func() error { return c.lines(ctx, e, "volume", "volume", "ls", "--quiet") },
		func() error { return c.lines(ctx, e, "network", "network", "ls", "--quiet") },
	} {
		if err := count(); err != nil {
			return nil, fmt.Errorf("count what there is: %w", err)
		}
	}
	return c, nil
}

// processes counts those that run, by their program and its command.
func (c census) processes() error {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || len(text) == 0 { // it has ended
			continue
		}
		args := strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
		name := filepath.Base(args[0])
		if slices.Contains(args, "--exec-attach") { // podman keeps the exit status of an executed command for five minutes
			continue
		}
		if len(args) > 1 && (name == "fivetuple" || name == "podman") {
			name += " " + args[1]
		}
		c["process "+name]++
	}
	return nil
}

// mounts counts those of podman, by their place.
func (c census) mounts() error {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); strings.Contains(fields[4], "/fivetuple-smoke-") || strings.HasPrefix(fields[4], "/run/netns/netns-") {
			c["mount "+identity.ReplaceAllString(fields[4], "ID")]++
		}
	}
	return nil
}

func (c census) files(kind, pattern string) error {
	found, err := filepath.Glob(pattern)
	c[kind] += len(found)
	return err
}

// pins counts what is on the BPF file systems; interfaces have other numbers after a restart.
func (c census) pins(volumes string) error {
	folders, err := filepath.Glob(volumes + "/*_pins*/_data")
	if err != nil {
		return err
	}
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && !d.IsDir() && filepath.Ext(path) != ".debug" {
				name, _ := filepath.Rel(folder, path)
				c["pin "+filepath.Base(filepath.Dir(folder))+" "+number.ReplaceAllString(name, "N")]++
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c census) interfaces() error {
	links, err := netlink.LinkList()
	for _, l := range links {
		c["interface "+l.Type()]++
	}
	return err
}

// rules counts those of iptables that are a container's or a network's: that have an address or a port. netavark leaves the others, and
// chains without a rule, for the next time.
func (c census) rules(ctx context.Context, e *engine) error {
	out, err := e.command(ctx, e.dir, "iptables", "--table", "nat", "--list-rules")
	c["rule of iptables"] += len(regexp.MustCompile(`(?m)^-A .*( -[sd] \d|--dport )`).FindAllString(out, -1))
	return err
}

// containers counts those that there are, and cgroups by their container.
func (c census) containers(ctx context.Context, e *engine) error {
	out, err := e.podman(ctx, "ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Names}}")
	names := map[string]string{}
	for line := range strings.Lines(out) {
		id, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		names[id] = name
		c["container "+name]++
	}
	found, globErr := filepath.Glob("/sys/fs/cgroup/pids/" + podmanCgroup + "/libpod-*")
	for _, path := range found {
		name, ok := names[strings.TrimPrefix(filepath.Base(path), "libpod-")]
		if !ok {
			name = "of no container"
		}
		c["cgroup "+name]++
	}
	return errors.Join(err, globErr)
}

func (c census) lines(ctx context.Context, e *engine, kind string, args ...string) error {
	out, err := e.podman(ctx, args...)
	for line := range strings.Lines(out) {
		c[kind+" "+strings.TrimSpace(line)]++
	}
	return err
}

// difference says what one census has more or less than another; nothing: they are equal.
func (c census) difference(other census) []string {
	var all []string
	for _, name := range sortedKeys(c) {
		if n := c[name] - other[name]; n != 0 {
			all = append(all, fmt.Sprintf("%+d %s", n, name))
		}
	}
	for _, name := range sortedKeys(other) {
		if _, ok := c[name]; !ok {
			all = append(all, fmt.Sprintf("%+d %s", -other[name], name))
		}
	}
	return all
}

// leftBehind waits until there is what was there before, and says what differs if that does not come.
func (e *engine) leftBehind(ctx context.Context, before census) ([]string, error) {
	var differs []string
	err := await(ctx, settleWait, "what was there before", func() error {
		now, err := e.census(ctx)
		if err != nil {
			return err
		}
		if differs = now.difference(before); len(differs) > 0 {
			return errDiffers
		}
		return nil
	})
	if errors.Is(err, errDiffers) {
		return differs, nil
	}
	return nil, err
}

var errDiffers = errors.New("it is not")

// object is a table, a program or an attachment in the kernel.
type object struct {
	kind string
	id   uint32
}

// kernelObjects returns those that are pinned in a folder. Programs are held by their attachments.
func kernelObjects(folder string) ([]object, error) {
	var all []object
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) == ".debug" {
			return err
		}
		found, err := pinned(path)
		all = append(all, found...)
		return err
	})
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%w: nothing is pinned in %s", errDiffers, folder)
	}
	return all, err
}

func pinned(path string) ([]object, error) {
	if m, err := ebpf.LoadPinnedMap(path, &ebpf.LoadPinOptions{ReadOnly: true}); err == nil {
		defer m.Close()
		info, err := m.Info()
		if err != nil {
			return nil, err
		}
		id, _ := info.ID()
		return []object{{"map", uint32(id)}}, nil
	}
	if l, err := link.LoadPinnedLink(path, nil); err == nil {
		defer l.Close()
		info, err := l.Info()
		if err != nil {
			return nil, err
		}
		return []object{{"link", uint32(info.ID)}, {"program", uint32(info.Program)}}, nil
	}
	p, err := ebpf.LoadPinnedProgram(path, nil)
	if err != nil {
		return nil, fmt.Errorf("%s is no map, link or program: %w", path, err)
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return nil, err
	}
	id, _ := info.ID()
	return []object{{"program", uint32(id)}}, nil
}

// alive returns the objects that the kernel still has. Their numbers are not used again.
func alive(objects []object) []string {
	var all []string
	for _, o := range objects {
		var held interface{ Close() error }
		var err error
		switch o.kind {
		case "map":
			held, err = ebpf.NewMapFromID(ebpf.MapID(o.id))
		case "link":
			held, err = link.NewFromID(link.ID(o.id))
		default:
			held, err = ebpf.NewProgramFromID(ebpf.ProgramID(o.id))
		}
		if err == nil {
			_ = held.Close()
			all = append(all, fmt.Sprintf("+1 %s %d", o.kind, o.id))
		}
	}
	return all
}

// gone waits until the kernel has removed objects, and returns those that it has not.
func gone(ctx context.Context, objects []object) []string {
	var left []string
	_ = await(ctx, settleWait, "the end of the kernel's objects", func() error {
		if left = alive(objects); len(left) > 0 {
			return errDiffers
		}
		return nil
	})
	return left
}
