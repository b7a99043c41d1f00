package main

import (
	"fmt"
	"sync"

	"github.com/vishvananda/netlink"
)

// bridges gives each bridge of podman a hardware address of its own, as Docker does. Debian's netavark leaves it to the kernel, which takes one
// of the interfaces in the bridge: when that interface goes, every container asks the name server at an address that is gone, for 5 to
// 8 s, and calls fail for that long.
type bridges struct {
	stop    chan struct{}
	stopped sync.WaitGroup
}

func keepBridges() (*bridges, error) {
	b := &bridges{stop: make(chan struct{})}
	updates := make(chan netlink.LinkUpdate)
	if err := netlink.LinkSubscribe(updates, b.stop); err != nil {
		return nil, fmt.Errorf("watch for bridges: %w", err)
	}
	b.stopped.Go(func() {
		kept := map[int]bool{}
		for u := range updates {
			index := u.Attrs().Index
			if u.Type() != "bridge" || kept[index] {
				continue
			}
			// The address that it has, as one that somebody has set. A bridge that is gone again needs none.
			kept[index] = netlink.LinkSetHardwareAddr(u.Link, u.Attrs().HardwareAddr) == nil
		}
	})
	return b, nil
}

func (b *bridges) close() {
	close(b.stop)
	b.stopped.Wait()
}
