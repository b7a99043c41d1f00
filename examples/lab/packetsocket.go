//go:build linux

package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// captureQueue is what may wait for the reader, in bytes of kernel memory. When it is full packets are
	// lost, and Stop says so.
	captureQueue = 64 << 20
	// keptBytes of each frame are kept: Ethernet, tags, and the longest headers that are met, with room to
	// spare.
	keptBytes = 256
	// readSize holds any frame with its virtio header: merged packets are at most 512 KiB (GSO_MAX_SIZE).
	readSize = 1 << 20
)

// openPacketSocket returns a packet socket on an interface of the calling thread's namespace that is bound
// last: no packet from before its options, or from another interface, is ever in it.
func openPacketSocket(name string, setOptions func(fd int) error) (*os.File, error) {
	device, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	// Protocol 0 receives nothing until bind names one.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	err = setOptions(fd)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: device.Index})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare packet socket: %w", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "packet socket on "+name), nil
}

// socketOption is an option whose value is a number.
type socketOption struct {
	name                 string
	level, option, value int
}

func setSocketOptions(fd int, options ...socketOption) error {
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.option, o.value); err != nil {
			return fmt.Errorf("set %s: %w", o.name, err)
		}
	}
	return nil
}

// setCaptureOptions makes a packet socket one of a capture. It keeps keep bytes of each frame.
func setCaptureOptions(fd int, keep uint32) error {
	err := setSocketOptions(
		fd,
		socketOption{"PACKET_VNET_HDR", unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1},
		socketOption{"PACKET_AUXDATA", unix.SOL_PACKET, unix.PACKET_AUXDATA, 1},
		socketOption{"SO_RCVBUFFORCE", unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureQueue},
	)
	if err != nil {
		return err
	}
	if err := askForStamps(fd); err != nil {
		return err
	}
	return keepBytes(fd, keep)
}

// keepBytes attaches a filter that lets every packet pass and cuts it to so many bytes; with 0 none passes.
func keepBytes(fd int, keep uint32) error {
	program := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: keep}}
	err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	if err != nil {
		return fmt.Errorf("attach filter: %w", err)
	}
	return nil
}

func networkOrder(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

// lostPackets says how many packets found the socket's queue full. Asking resets the count.
func lostPackets(fd int) (uint32, error) {
	stats, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, fmt.Errorf("read PACKET_STATISTICS: %w", err)
	}
	return stats.Drops, nil
}
