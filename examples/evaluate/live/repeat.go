package live

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"fivetuple/examples/lab"
)

// repeater sends each data segment of an address again, a number of times, as a client does that wants to be a burden, or a
// broken one.
type repeater struct {
	fd    int
	index int
	from  netip.Addr
	times int
}

// vnetHeader is the length of struct virtio_net_hdr: with it a checksum that is left to the card stays so.
const vnetHeader = 10

func (s *scene) repeater(from netip.Addr, times int) (*repeater, error) {
	r := &repeater{from: from, times: times}
	return r, s.Lab.Client.Do(func() error {
		client, err := net.InterfaceByName(lab.ClientInterface)
		if err != nil {
			return err
		}
		all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
		if r.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return fmt.Errorf("open packet socket: %w", err)
		}
		r.index = client.Index
		return errors.Join(
			unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1),
			unix.SetsockoptTimeval(r.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000}),
			unix.Bind(r.fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: client.Index}),
		)
	})
}

// run repeats until the context ends.
func (r *repeater) run(ctx context.Context) error {
	defer unix.Close(r.fd)
	frame := make([]byte, 1<<16)
	for ctx.Err() == nil {
		n, from, err := unix.Recvfrom(r.fd, frame, 0)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read packet socket: %w", err)
		}
		link, ok := from.(*unix.SockaddrLinklayer)
		if !ok || link.Pkttype != unix.PACKET_OUTGOING || !r.wants(frame[vnetHeader:n]) {
			continue
		}
		for range r.times {
			err := unix.Sendto(r.fd, frame[:n], 0, &unix.SockaddrLinklayer{Ifindex: r.index})
			if err != nil && !errors.Is(err, unix.ENOBUFS) {
				return fmt.Errorf("repeat packet: %w", err)
			}
		}
	}
	return nil
}

// wants says whether a frame is a data segment of the address.
func (r *repeater) wants(frame []byte) bool {
	const ethernet, ip = 14, 20
	if len(frame) < ethernet+ip+20 || binary.BigEndian.Uint16(frame[12:]) != unix.ETH_P_IP {
		return false
	}
	packet := frame[ethernet:]
	header := int(packet[0]&0xf) * 4
	if packet[9] != unix.IPPROTO_TCP || netip.AddrFrom4([4]byte(packet[12:16])) != r.from || len(packet) < header+20 {
		return false
	}
	data := header + int(packet[header+12]>>4)*4
	return int(binary.BigEndian.Uint16(packet[2:])) > data
}

// pause waits, or until the context ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
