//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Forwarder carries frames between two interfaces of a namespace and impairs the TCP connections among them, as a
// network between two hosts does (tc-netem(8) is not in every kernel).
type Forwarder struct {
	sockets [2]*os.File
	ended   *os.File // an eventfd: readable when ctx has ended
	lanes   [2]*lane
	done    chan struct{}
	err     error // of the end
}

// Forwarded counts the TCP packets of one direction.
type Forwarded struct {
	Sent     uint64
	Late     uint64 // of those sent: more than lateness after they were due, because the machine was busy
	Lost     uint64 // on purpose
	Held     uint64 // of those sent or waiting: held back
	Overflow uint64 // lost because a bound was reached: waitingMost, connectionsMost
}

// Forward begins to carry frames between two interfaces, until ctx ends or carrying fails; Wait says which. ctx must end
// before the lab is closed. A tag that the kernel keeps beside a frame (802.1Q) is not carried.
func (n *Namespace) Forward(ctx context.Context, left, right string, impairment Impairment) (*Forwarder, error) {
	if err := impairment.validate(); err != nil {
		return nil, err
	}
	f := &Forwarder{done: make(chan struct{})}
	if err := f.open(n, left, right); err != nil {
		return nil, errors.Join(fmt.Errorf("forward %s--%s: %w", left, right, err), f.close())
	}
	for i := range f.lanes {
		f.lanes[i] = newLane(f.sockets[i], f.sockets[1-i], f.ended, impairment)
	}
	go f.run(ctx)
	return f, nil
}

func (f *Forwarder) open(n *Namespace, left, right string) error {
	for i, name := range []string{left, right} {
		err := n.Do(func() (err error) {
			f.sockets[i], err = openPacketSocket(name, setForwarderOptions)
			return err
		})
		if err != nil {
			return err
		}
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return err
	}
	f.ended = os.NewFile(uintptr(fd), "end of forwarder")
	return nil
}

// Counts returns what was done so far to packets from left to right, and from right to left.
func (f *Forwarder) Counts() (toRight, toLeft Forwarded) {
	return f.lanes[0].counted(), f.lanes[1].counted()
}

// Wait waits for the end. It returns nil if ctx ended it.
func (f *Forwarder) Wait() error {
	<-f.done
	return f.err
}

// run ends when ctx does, or at the first fault.
func (f *Forwarder) run(ctx context.Context) {
	defer close(f.done)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var errs [len(f.lanes) + 1]error
	for i, l := range f.lanes {
		wg.Go(func() {
			defer cancel()
			errs[i] = l.run()
		})
	}
	<-ctx.Done()
	_, errs[len(f.lanes)] = f.ended.Write([]byte{1, 0, 0, 0, 0, 0, 0, 0})
	wg.Wait()
	f.err = errors.Join(errors.Join(errs[:]...), f.overrun(), f.close())
}

// overrun says whether a socket has lost frames, which no count of a lane has.
func (f *Forwarder) overrun() error {
	var errs []error
	for _, s := range f.sockets {
		conn, err := s.SyscallConn()
		if err != nil {
			return err
		}
		var lost uint32
		var inner error
		err = conn.Control(func(fd uintptr) { lost, inner = lostPackets(int(fd)) })
		errs = append(errs, err, inner)
		if lost > 0 {
			errs = append(errs, fmt.Errorf("%s lost %d frames: its queue of %d bytes was full", s.Name(), lost, captureQueue))
		}
	}
	return errors.Join(errs...)
}

func (f *Forwarder) close() error {
	var errs []error
	for _, file := range []*os.File{f.sockets[0], f.sockets[1], f.ended} {
		if file != nil {
			errs = append(errs, file.Close())
		}
	}
	return errors.Join(errs...)
}

// setForwarderOptions makes a packet socket one that frames are received from and sent to. The virtio header goes with a
// frame, so that a checksum that the sender left to the card is still left to it.
func setForwarderOptions(fd int) error {
	err := setSocketOptions(
		fd,
		socketOption{"PACKET_VNET_HDR", unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1},
		socketOption{"PACKET_IGNORE_OUTGOING", unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1},
		socketOption{"SO_RCVBUFFORCE", unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureQueue},
		socketOption{"SO_SNDBUFFORCE", unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, captureQueue},
	)
	if err != nil {
		return err
	}
	return keepBytes(fd, math.MaxUint32)
}
