//go:build linux

package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// The virtio_net_hdr in front of each frame (linux/virtio_net.h): flags, gso_type, then 16-bit words.
const (
	vnetHeaderLen  = 10
	vnetGSOType    = 1
	vnetGSOSize    = 4
	vnetGSOTCPv4   = 1
	vnetGSOTCPv6   = 4
	vnetGSOECNFlag = 0x80
)

// receiver reads packets off a packet socket.
type receiver struct {
	frame, control []byte
	offset         int64 // CLOCK_REALTIME - CLOCK_MONOTONIC
}

func newReceiver(offset int64) *receiver {
	return &receiver{frame: make([]byte, readSize), control: make([]byte, 256), offset: offset}
}

// next reads one packet; its Data is valid until the next call, and all that the socket kept. The error is
// EAGAIN when none waits.
func (r *receiver) next(fd int) (Packet, error) {
	n, controlLen, flags, from, err := unix.Recvmsg(fd, r.frame, r.control, 0)
	if err != nil {
		return Packet{}, err
	}
	if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 || n < vnetHeaderLen {
		return Packet{}, fmt.Errorf("receive packet: %d bytes read, flags %#x: it is cut", n, flags)
	}
	gso, err := gsoSize(r.frame[:vnetHeaderLen])
	if err != nil {
		return Packet{}, err
	}
	meta, err := parseControl(r.control[:controlLen])
	if err != nil {
		return Packet{}, err
	}
	if meta.stamp == 0 || meta.length == 0 {
		return Packet{}, fmt.Errorf("receive packet: the kernel gave no time stamp (%d) or no length (%d) with it",
			meta.stamp, meta.length)
	}
	link, ok := from.(*unix.SockaddrLinklayer)
	if !ok {
		return Packet{}, fmt.Errorf("receive packet: from a %T", from)
	}
	p := Packet{
		Time:    meta.stamp - r.offset,
		Wall:    time.Unix(0, meta.stamp).UTC(),
		RX:      link.Pkttype != unix.PACKET_OUTGOING,
		Data:    r.frame[vnetHeaderLen:n],
		Length:  meta.length,
		GSOSize: gso,
	}
	if meta.tagged {
		p.Data = withTag(p.Data, meta.tagProtocol, meta.tag)
		p.Length += etherTagLen
	}
	return p, nil
}

// gsoSize returns the payload of one segment, 0 for a packet that is not merged. Merged UDP is not of
// interest.
func gsoSize(header []byte) (int, error) {
	switch kind := header[vnetGSOType] &^ vnetGSOECNFlag; kind {
	case vnetGSOTCPv4, vnetGSOTCPv6:
		size := int(binary.NativeEndian.Uint16(header[vnetGSOSize:]))
		if size == 0 {
			return 0, errors.New("receive packet: merged TCP without gso_size")
		}
		return size, nil
	default:
		return 0, nil
	}
}

// withTag puts back a VLAN tag that the kernel keeps beside the packet.
func withTag(frame []byte, protocol, tag uint16) []byte {
	const addressesLen = etherHeaderLen - 2
	if len(frame) < addressesLen {
		return frame
	}
	tagged := make([]byte, 0, len(frame)+etherTagLen)
	tagged = append(tagged, frame[:addressesLen]...)
	tagged = binary.BigEndian.AppendUint16(tagged, protocol)
	tagged = binary.BigEndian.AppendUint16(tagged, tag)
	return append(tagged, frame[addressesLen:]...)
}

// metadata is what came beside the packet.
type metadata struct {
	stamp            int64 // CLOCK_REALTIME in nanoseconds; 0 without one
	length           int   // on the wire; 0 without one
	tagged           bool
	tagProtocol, tag uint16
}

func parseControl(control []byte) (metadata, error) {
	var m metadata
	for len(control) >= unix.SizeofCmsghdr {
		header, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			return m, fmt.Errorf("read control message: %w", err)
		}
		control = rest
		switch {
		case header.Level == unix.SOL_SOCKET && header.Type == unix.SO_TIMESTAMPING_NEW && len(data) >= 16:
			// The first of three struct __kernel_timespec, two 64-bit words on every architecture, is the
			// kernel's own.
			m.stamp = int64(binary.NativeEndian.Uint64(data))*int64(time.Second) + int64(binary.NativeEndian.Uint64(data[8:]))
		case header.Level == unix.SOL_PACKET && header.Type == unix.PACKET_AUXDATA && len(data) >= auxdataLen:
			m.readAuxdata(data)
		}
	}
	return m, nil
}

const auxdataLen = 20

// readAuxdata reads struct tpacket_auxdata: status, len, snaplen, then mac, net, vlan_tci and vlan_tpid in 16
// bits.
func (m *metadata) readAuxdata(data []byte) {
	status := binary.NativeEndian.Uint32(data)
	m.length = int(binary.NativeEndian.Uint32(data[4:]))
	if status&unix.TP_STATUS_VLAN_VALID == 0 {
		return
	}
	m.tagged = true
	m.tag = binary.NativeEndian.Uint16(data[16:])
	m.tagProtocol = etherVLAN
	if status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		m.tagProtocol = binary.NativeEndian.Uint16(data[18:])
	}
}
