//go:build linux

package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// waitingMost frames of one direction wait at a time; more are lost and counted as overflow.
	waitingMost = 1 << 14
	// connectionsMost are impaired by one lane in its life; the packets of more are lost and counted as overflow.
	connectionsMost = 1 << 14
	// lateness is when a frame counts as late.
	lateness = 5 * time.Millisecond
)

// lane carries frames one way. All but counts is its goroutine's.
type lane struct {
	from, to, ended *os.File
	impairment      Impairment
	waiting         delayQueue
	impaired        map[route]*impaired
	buffer          []byte
	spare           [][]byte // frames that were sent, to be used again

	mu     sync.Mutex
	counts Forwarded
}

func newLane(from, to, ended *os.File, impairment Impairment) *lane {
	return &lane{
		from: from, to: to, ended: ended, impairment: impairment,
		waiting:  delayQueue{capacity: waitingMost},
		impaired: make(map[route]*impaired),
		buffer:   make([]byte, readSize),
	}
}

func (l *lane) counted() Forwarded {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}

func (l *lane) count(what *uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*what++
}

// run carries until the forwarder ends; what waits then is lost. It waits in the kernel, because a timer of the Go runtime
// is up to a millisecond late.
func (l *lane) run() error {
	fds := []unix.PollFd{
		{Fd: int32(l.from.Fd()), Events: unix.POLLIN},
		{Fd: int32(l.ended.Fd()), Events: unix.POLLIN},
	}
	for fds[1].Revents == 0 {
		if err := errors.Join(l.receive(int(fds[0].Fd)), l.send()); err != nil {
			return err
		}
		var timeout *unix.Timespec
		if wait, ok := l.waiting.wait(time.Now()); ok {
			t := unix.NsecToTimespec(int64(wait))
			timeout = &t
		}
		if _, err := unix.Ppoll(fds, timeout, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for frames: %w", err)
		}
	}
	return nil
}

// receive takes what waits in the socket, but not so much that sending is late.
func (l *lane) receive(fd int) error {
	const batch = 16
	for range batch {
		n, err := unix.Read(fd, l.buffer)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("receive frame: %w", err)
		}
		if n < vnetHeaderLen {
			return fmt.Errorf("receive frame: %d bytes are no virtio header", n)
		}
		if size, err := gsoSize(l.buffer[:vnetHeaderLen]); err != nil || size > 0 {
			return errors.Join(fmt.Errorf("receive frame: %d bytes in segments of %d: TSO is on", n, size), err)
		}
		l.take(l.keep(l.buffer[:n]), time.Now())
	}
	return nil
}

// keep copies a frame. It leaves no garbage: while the collector stops the world, packets are late.
func (l *lane) keep(frame []byte) []byte {
	var to []byte
	if last := len(l.spare) - 1; last >= 0 {
		to, l.spare = l.spare[last][:0], l.spare[:last]
	}
	return append(to, frame...)
}

// take decides on a frame with its virtio header.
func (l *lane) take(frame []byte, now time.Time) {
	r, ok := routeOf(frame[vnetHeaderLen:])
	if !ok {
		l.waiting.push(frame, now) // of ARP and the like, there are never many
		return
	}
	way, ok := l.impaired[r]
	if !ok {
		if len(l.impaired) >= connectionsMost {
			l.count(&l.counts.Overflow)
			return
		}
		way = newImpaired(l.impairment, r)
		l.impaired[r] = way
	}
	f := way.next(now)
	switch {
	case f.lost:
		l.count(&l.counts.Lost)
	case !l.waiting.push(frame, f.due):
		l.count(&l.counts.Overflow)
	case f.held:
		l.count(&l.counts.Held)
	}
}

// routeOf returns false for what is not TCP.
func routeOf(frame []byte) (route, bool) {
	at, err := parseFrame(frame, len(frame))
	if err != nil {
		return route{}, false
	}
	ports := frame[at.tcp:]
	return route{
		netip.AddrPortFrom(at.src, binary.BigEndian.Uint16(ports)),
		netip.AddrPortFrom(at.dst, binary.BigEndian.Uint16(ports[2:])),
	}, true
}

// send sends what is due.
func (l *lane) send() error {
	for {
		frame, late := l.waiting.pop(time.Now())
		if frame == nil {
			return nil
		}
		if _, err := l.to.Write(frame); err != nil {
			return fmt.Errorf("send frame: %w", err)
		}
		if _, ok := routeOf(frame[vnetHeaderLen:]); ok {
			l.count(&l.counts.Sent)
			if late > lateness {
				l.count(&l.counts.Late)
			}
		}
		l.spare = append(l.spare, frame)
	}
}
