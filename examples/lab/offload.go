//go:build linux

package lab

import (
	"fmt"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ETHTOOL_GTSO and ETHTOOL_GGSO of linux/ethtool.h, which golang.org/x/sys has not.
const (
	ethtoolGetTSO = 0x1e
	ethtoolGetGSO = 0x23
)

// offloads says which packets are merged on an interface: sent ones that the card would cut, sent ones that the kernel
// cuts behind TC, and received ones.
type offloads struct{ tso, gso, gro bool }

// setOffloads switches TSO (both families), GSO and GRO of an interface of the calling thread's namespace.
func setOffloads(link netlink.Link, o offloads) error {
	name := link.Attrs().Name
	for _, f := range []struct {
		name     string
		get, set uint32
		on       bool
	}{
		{"TSO", ethtoolGetTSO, unix.ETHTOOL_STSO, o.tso},
		{"GSO", ethtoolGetGSO, unix.ETHTOOL_SGSO, o.gso},
		{"GRO", unix.ETHTOOL_GGRO, unix.ETHTOOL_SGRO, o.gro},
	} {
		if err := setFeature(name, f.get, f.set, f.on); err != nil {
			return fmt.Errorf("set %s of %s: %w", f.name, name, err)
		}
	}
	if o.gso {
		return nil
	}
	// TCP merges whatever the interface says, and the kernel cuts again behind TC: only this limit stops it
	// (sk_setup_caps in net/core/sock.c).
	if err := netlink.LinkSetGSOMaxSegs(link, 1); err != nil {
		return fmt.Errorf("set gso_max_segs of %s: %w", name, err)
	}
	return nil
}

// setFeature sets one feature and reads it back: the kernel keeps what it cannot change and reports success.
func setFeature(name string, get, set uint32, on bool) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var want uint32
	if on {
		want = 1
	}
	if _, err := ethtool(fd, name, set, want); err != nil {
		return err
	}
	got, err := ethtool(fd, name, get, 0)
	if err == nil && got != want {
		err = fmt.Errorf("it is %d, want %d", got, want)
	}
	return err
}

// ethtool does one SIOCETHTOOL with a struct ethtool_value and returns the value.
func ethtool(fd int, name string, command, data uint32) (uint32, error) {
	value := struct{ command, data uint32 }{command, data}
	var request struct {
		name  [unix.IFNAMSIZ]byte
		value unsafe.Pointer
		_     [24 - unsafe.Sizeof(uintptr(0))]byte // struct ifreq's union is longer than a pointer
	}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	request.value = unsafe.Pointer(&value)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return 0, errno
	}
	return value.data, nil
}
