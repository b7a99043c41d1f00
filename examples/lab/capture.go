//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// CaptureOptions say what a capture does beside keeping packets.
type CaptureOptions struct {
	// PCAP gets every frame whole, as a capture file with nanoseconds; merged packets are cut into their
	// segments. It is written from another goroutine and complete when Stop returns.
	PCAP io.Writer
}

// Capture listens on one interface. It must be stopped; Lab.Close does that too.
type Capture struct {
	socket   *os.File
	receiver *receiver
	file     *pcapFile // nil without
	read     chan struct{}
	stop     func() error

	mu      sync.Mutex
	packets []Packet
	changed chan struct{} // closed, and made anew, when packets or over changes
	over    bool          // no packet will be added
	fault   error         // why it was over before Stop
	stopped bool
}

// Capture starts to listen on an interface of the namespace. Every packet sent or received after it returned
// is in the capture.
func (n *Namespace) Capture(ifname string, options CaptureOptions) (*Capture, error) {
	c, err := n.openCapture(ifname, options)
	if err != nil {
		return nil, fmt.Errorf("capture on %s: %w", ifname, err)
	}
	n.mu.Lock()
	closed := n.closed
	n.captures = append(n.captures, c)
	n.mu.Unlock()
	go c.run()
	if closed {
		return nil, errors.Join(fmt.Errorf("capture on %s: namespace %s is closed", ifname, n.Name), c.Stop())
	}
	return c, nil
}

func (n *Namespace) openCapture(ifname string, options CaptureOptions) (*Capture, error) {
	keep := uint32(keptBytes)
	var file *pcapFile
	if options.PCAP != nil {
		keep = math.MaxUint32
		var err error
		if file, err = newPcapFile(options.PCAP); err != nil {
			return nil, err
		}
	}
	var socket *os.File
	var offset int64
	err := n.Do(func() (err error) {
		socket, err = openPacketSocket(ifname, func(fd int) error { return setCaptureOptions(fd, keep) })
		if err != nil {
			return err
		}
		if offset, err = wallOffset(); err != nil {
			err = errors.Join(err, socket.Close())
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	c := &Capture{
		socket: socket, receiver: newReceiver(offset), file: file,
		read: make(chan struct{}), changed: make(chan struct{}),
	}
	c.stop = sync.OnceValue(c.finish)
	return c, nil
}

// Packets returns the TCP packets so far, in the order in which the kernel handed them over. The slice is not
// written to any more.
func (c *Capture) Packets() []Packet {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clip(c.packets)
}

// Wait returns when enough says so of the packets so far. It is asked after each change, on the calling
// goroutine. It fails when ctx ends, or the capture does, before that.
func (c *Capture) Wait(ctx context.Context, enough func([]Packet) bool) error {
	for {
		c.mu.Lock()
		packets, changed, over, fault := slices.Clip(c.packets), c.changed, c.over, c.fault
		c.mu.Unlock()
		if enough(packets) {
			return nil
		}
		if over {
			return errors.Join(fmt.Errorf("wait for packets: the capture ended with %d", len(packets)), fault)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for packets: %d so far: %w", len(packets), ctx.Err())
		case <-changed:
		}
	}
}

// Stop ends the capture with every packet in it that was sent or received before the call. An error means
// that packets were lost, or their times are wrong, or the file is not whole: what the capture has must then
// not be taken for the truth. A second call returns the same.
func (c *Capture) Stop() error { return c.stop() }

// stopOnce is Stop for who comes after the owner: what a Stop before this said, it said to the owner.
func (c *Capture) stopOnce() error {
	c.mu.Lock()
	stopped := c.stopped
	c.mu.Unlock()
	if stopped {
		return nil
	}
	return c.Stop()
}

func (c *Capture) failed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fault != nil
}

// run reads until Stop sets the deadline, or a fault.
func (c *Capture) run() {
	defer close(c.read)
	conn, err := c.socket.SyscallConn()
	if err == nil {
		err = conn.Read(func(fd uintptr) bool { return c.drain(int(fd)) != nil })
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.fail(fmt.Errorf("read packet socket: %w", err))
	}
}

// drain takes what waits in the socket. Its error is also the capture's.
func (c *Capture) drain(fd int) error {
	for {
		p, err := c.receiver.next(fd)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil {
			err = c.keep(p)
		}
		if err != nil {
			c.fail(err)
			return err
		}
	}
}

// keep files one packet. What is not TCP goes to the file only.
func (c *Capture) keep(p Packet) error {
	if c.file != nil {
		if err := c.file.write(p); err != nil {
			return err
		}
	}
	p.Data = slices.Clone(p.Data[:min(len(p.Data), keptBytes)])
	if _, err := Decode(p); errors.Is(err, ErrNotTCP) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.packets = append(c.packets, p)
	c.wake()
	return nil
}

func (c *Capture) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = errors.Join(c.fault, err)
	c.over = true
	c.wake()
}

// wake needs c.mu.
func (c *Capture) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// finish closes the door first, so that emptying the socket comes to an end.
func (c *Capture) finish() error {
	conn, err := c.socket.SyscallConn()
	if err != nil {
		return errors.Join(fmt.Errorf("stop capture: %w", err), c.socket.Close())
	}
	var errs []error
	shut := conn.Control(func(fd uintptr) { errs = append(errs, keepBytes(int(fd), 0)) })
	errs = append(errs, shut, c.socket.SetReadDeadline(time.Unix(1, 0)))
	<-c.read
	rest := conn.Control(func(fd uintptr) {
		// A capture that failed stays where it failed; its error is in c.fault.
		if !c.failed() {
			_ = c.drain(int(fd))
		}
		lost, err := lostPackets(int(fd))
		if lost > 0 {
			err = fmt.Errorf("the capture lost %d packets: its queue of %d bytes was full", lost, captureQueue)
		}
		errs = append(errs, err)
	})
	errs = append(errs, rest, c.socket.Close(), checkOffset(c.receiver.offset))
	if c.file != nil {
		errs = append(errs, c.file.flush())
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	c.over, c.stopped = true, true
	c.wake()
	if err := errors.Join(append(errs, c.fault)...); err != nil {
		return fmt.Errorf("stop capture: %w", err)
	}
	return nil
}
