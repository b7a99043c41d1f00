package live

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"time"
)

func packets() []Attack {
	return []Attack{
		{
			Name: "SYN flood, 1 address", Kind: "syn-flood", Sources: 1, Time: 8 * time.Second, Rate: "2,000 SYNs/s",
			Twin: "clients on a bad road complete their handshakes, if late; a service that restarts refuses",
			play: raining(2000, func(int) packet {
				return packet{from: netip.AddrPortFrom(foreignAddress(1), uint16(1024+rand.IntN(60000))), port: 9080, seq: rand.Uint32(), syn: true}
			}),
		},
		{
			Name: "SYN flood, 10,000 addresses", Kind: "syn-flood", Sources: 10_000, Time: 8 * time.Second, Rate: "4,000 SYNs/s",
			Twin: "a peak of new clients completes its handshakes",
			play: raining(4000, func(int) packet {
				return packet{
					from: netip.AddrPortFrom(foreignAddress(rand.IntN(10_000)), uint16(1024+rand.IntN(60000))),
					port: 9080, seq: rand.Uint32(), syn: true,
				}
			}),
		},
		{
			Name: "port scan", Kind: "port-scan", Sources: 1, Time: 10 * time.Second, Rate: "100 ports/s",
			Twin: "a monitor of many services completes its handshakes, on the same few ports",
			play: raining(100, func(i int) packet {
				return packet{from: netip.AddrPortFrom(foreignAddress(9), 40125), port: uint16(1 + i), seq: 77, syn: true}
			}),
		},
		{
			Name: "SYN-ACK reflection", Kind: "reflection", Sources: 1000, Time: 8 * time.Second, Rate: "2,000 SYN-ACKs/s",
			Twin: "a SYN-ACK of an upstream answers a SYN of the gateway's",
			play: raining(2000, func(int) packet {
				return packet{
					from: netip.AddrPortFrom(foreignAddress(20_000+rand.IntN(1000)), 443),
					port: uint16(1024 + rand.IntN(60000)), seq: rand.Uint32(), syn: true, ack: true,
				}
			}),
		},
	}
}

// raining sends packets at a rate.
func raining(perSecond int, next func(i int) packet) func(context.Context, *scene, *player) error {
	return func(ctx context.Context, s *scene, _ *player) error {
		r, err := s.raw()
		if err != nil {
			return err
		}
		defer r.close()
		return r.flood(ctx, perSecond, next)
	}
}
