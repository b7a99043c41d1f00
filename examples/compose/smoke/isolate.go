package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// stopWait is how long the stack may take to be removed after an interrupt.
const stopWait = time.Minute

// programs are what has to be installed, beside the kernel's own namespaces: podman and what it calls, and what images are made of.
func programs() []string {
	return []string{"podman", "runc", "conmon", "catatonit", "iptables", "redis-server", "redis-cli", "curl", "bash", "go"}
}

// isolate runs this program once more in a mount, a network and a PID namespace of its own: networks, rules of iptables, mounts and
// processes of podman are in there, and gone with the last process. Of the machine it uses files and the kernel.
func isolate(ctx context.Context, args []string, out io.Writer) (err error) {
	for _, name := range programs() {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%w: install Debian's packages podman netavark aardvark-dns runc conmon catatonit iptables redis-server redis-tools curl", err)
		}
	}
	dir, err := os.MkdirTemp("", "fivetuple-smoke-")
	if err != nil {
		return err
	}
	before := cgroups()
	defer func() { err = errors.Join(err, removeCgroups(before), os.RemoveAll(dir)) }()
	// podman leaves it to a first process to collect the processes whose parents have ended.
	cmd := exec.CommandContext(ctx, "catatonit", append([]string{"--", "/proc/self/exe"}, append(args, "--inside", dir)...)...)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd.Args[2] = self
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopWait
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID,
		// If this process is killed everything in the namespaces is. The signal follows the thread that forks: it must stay.
		Pdeathsig: syscall.SIGKILL,
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return cmd.Run()
}

// settle makes the namespaces habitable: an own /proc and loopback, and nothing of the machine's own state in the folders where podman
// keeps its. There is no BPF file system, as on a host that has not mounted one.
func settle(dir string) error {
	// As a slave, the namespace keeps no mount alive that the machine has unmounted.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("make mounts a slave of the machine's: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, at := range []string{"/run", "/var/lib", "/var/tmp"} {
		if err := unix.Mount("tmpfs", at, "tmpfs", 0, "mode=0755"); err != nil {
			return fmt.Errorf("mount an empty %s: %w", at, err)
		}
	}
	for unix.Unmount("/sys/fs/bpf", unix.MNT_DETACH) == nil {
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("set up loopback: %w", err)
	}
	for _, name := range []string{"home", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// podmanCgroup is the cgroup of podman's containers. Cgroups are the machine's: no namespace is theirs.
const podmanCgroup = "libpod_parent"

func cgroups() map[string]bool {
	found, _ := filepath.Glob("/sys/fs/cgroup/*/" + podmanCgroup)
	direct, _ := filepath.Glob("/sys/fs/cgroup/" + podmanCgroup)
	all := map[string]bool{}
	for _, path := range append(found, direct...) {
		all[path] = true
	}
	return all
}

// removeCgroups removes those that were not there before. One that still has a process after a while is an error: something was
// left running.
func removeCgroups(before map[string]bool) error {
	return await(context.Background(), settleWait, "the end of all processes", func() error {
		var errs []error
		for path := range cgroups() {
			if before[path] {
				continue
			}
			entries, err := os.ReadDir(path)
			errs = append(errs, err)
			for _, entry := range entries {
				if entry.IsDir() {
					errs = append(errs, os.Remove(filepath.Join(path, entry.Name())))
				}
			}
			errs = append(errs, os.Remove(path))
		}
		return errors.Join(errs...)
	})
}
