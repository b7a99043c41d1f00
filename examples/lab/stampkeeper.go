//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// stampKeeper is a UDP socket connected to itself over a namespace's loopback. While it is open the kernel
// stamps packets.
//
// The kernel switches stamping on when the first socket of the host asks and off when the last goes, both
// later, from a worker (net_enable_timestamp in net/core/dev.c). A capture that asked by itself would meet
// packets without a stamp, also because another one ended just before. So a lab asks long before its first
// capture, and for all its life.
type stampKeeper struct {
	fd int
}

// newStampKeeper runs in the calling thread's namespace, whose loopback must be up.
func newStampKeeper() (*stampKeeper, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open time stamp keeper: %w", err)
	}
	k := &stampKeeper{fd: fd}
	if err := k.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare time stamp keeper: %w", err), k.close())
	}
	return k, nil
}

func (k *stampKeeper) prepare() error {
	timeout := unix.Timeval{Sec: 1}
	if err := unix.SetsockoptTimeval(k.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return err
	}
	if err := unix.Bind(k.fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	self, err := unix.Getsockname(k.fd)
	if err != nil {
		return err
	}
	if err := unix.Connect(k.fd, self); err != nil {
		return err
	}
	return askForStamps(k.fd)
}

func (k *stampKeeper) close() error { return unix.Close(k.fd) }

// await returns when datagrams have been stamped for a while: at first they may be so only because the worker
// has not yet come to switch off what others had on.
func (k *stampKeeper) await(ctx context.Context) error {
	const settled = 20 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	since := time.Now()
	for {
		stamped, err := k.try()
		if err != nil {
			return fmt.Errorf("await time stamps: %w", err)
		}
		if !stamped {
			since = time.Now()
		}
		if time.Since(since) >= settled {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("await time stamps: the kernel does not stamp packets: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// try sends itself a datagram and says whether it was stamped.
func (k *stampKeeper) try() (bool, error) {
	buffer, control := make([]byte, 1), make([]byte, 128)
	if _, err := unix.Write(k.fd, buffer); err != nil {
		return false, err
	}
	_, controlLen, _, _, err := unix.Recvmsg(k.fd, buffer, control, 0)
	if err != nil {
		return false, err
	}
	meta, err := parseControl(control[:controlLen])
	return meta.stamp != 0, err
}

// askForStamps asks for the kernel's own receive stamps. SO_TIMESTAMPNS would be simpler, but gives a packet
// without a stamp the time at which it is read, and does not tell; SO_TIMESTAMPING gives it none.
func askForStamps(fd int) error {
	const flags = unix.SOF_TIMESTAMPING_RX_SOFTWARE | unix.SOF_TIMESTAMPING_SOFTWARE
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, flags); err != nil {
		return fmt.Errorf("set SO_TIMESTAMPING: %w", err)
	}
	return nil
}
