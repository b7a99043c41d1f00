package live

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"fivetuple/examples/lab"
)

// raw sends frames from the client's namespace that no socket would send.
type raw struct {
	fd       int
	to       unix.SockaddrLinklayer
	ethernet layers.Ethernet
	buffer   gopacket.SerializeBuffer
}

func (s *scene) raw() (*raw, error) {
	r := &raw{buffer: gopacket.NewSerializeBuffer(), ethernet: layers.Ethernet{EthernetType: layers.EthernetTypeIPv4}}
	err := s.Lab.Gateway.Do(func() error {
		front, err := net.InterfaceByName(lab.GatewayFrontInterface)
		if err == nil {
			r.ethernet.DstMAC = front.HardwareAddr
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, s.Lab.Client.Do(func() error {
		client, err := net.InterfaceByName(lab.ClientInterface)
		if err != nil {
			return err
		}
		r.ethernet.SrcMAC, r.to.Ifindex = client.HardwareAddr, client.Index
		if r.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return fmt.Errorf("open packet socket: %w", err)
		}
		return nil
	})
}

func (r *raw) close() { _ = unix.Close(r.fd) }

// packet is a TCP packet without payload.
type packet struct {
	from     netip.AddrPort
	port     uint16 // of the gateway
	seq      uint32
	syn, ack bool
}

func (r *raw) send(p packet) error {
	ip := layers.IPv4{
		Version: 4, TTL: 57, Protocol: layers.IPProtocolTCP,
		SrcIP: p.from.Addr().AsSlice(), DstIP: net.ParseIP(lab.GatewayFrontIPv4).To4(),
	}
	tcp := layers.TCP{
		SrcPort: layers.TCPPort(p.from.Port()), DstPort: layers.TCPPort(p.port), Seq: p.seq, SYN: p.syn, ACK: p.ack, Window: 64240,
		Options: []layers.TCPOption{{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{0x05, 0xb4}}},
	}
	if p.ack {
		tcp.Ack = p.seq + 1
	}
	err := errors.Join(
		tcp.SetNetworkLayerForChecksum(&ip),
		gopacket.SerializeLayers(r.buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, &r.ethernet, &ip, &tcp),
	)
	if err != nil {
		return fmt.Errorf("make packet: %w", err)
	}
	if err := unix.Sendto(r.fd, r.buffer.Bytes(), 0, &r.to); err != nil && !errors.Is(err, unix.ENOBUFS) {
		return fmt.Errorf("send packet: %w", err)
	}
	return nil
}

// flood sends packets at a rate until the context ends.
func (r *raw) flood(ctx context.Context, perSecond int, packet func(i int) packet) error {
	const step = 2 * time.Millisecond
	tick := time.NewTicker(step)
	defer tick.Stop()
	begin := time.Now()
	for sent := 0; ; {
		for due := int(time.Since(begin).Seconds() * float64(perSecond)); sent <= due; sent++ {
			if err := r.send(packet(sent)); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// foreignAddress returns the n-th of them.
func foreignAddress(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{198, 18 + byte(n>>16&1), byte(n >> 8), byte(n)})
}
