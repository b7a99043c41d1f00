//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// join makes a veth pair between two namespaces, with addresses, and sets it up.
func join(pair [2]end, mtu int) error {
	left, right := pair[0], pair[1]
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = left.name, mtu
	// One queue each way: with one for each CPU a connection's packets may overtake each other.
	attrs.NumTxQueues, attrs.NumRxQueues = 1, 1
	err := left.in.Do(func() error {
		return right.in.withFD(func(fd int) error {
			return netlink.LinkAdd(&netlink.Veth{
				LinkAttrs: attrs, PeerName: right.name, PeerNamespace: netlink.NsFd(fd),
				PeerNumTxQueues: 1, PeerNumRxQueues: 1,
			})
		})
	})
	if err != nil {
		return fmt.Errorf("make veth pair %s--%s: %w", left.name, right.name, err)
	}
	for _, e := range pair {
		if err := e.in.Do(e.configure); err != nil {
			return fmt.Errorf("configure %s: %w", e.name, err)
		}
	}
	return nil
}

// configure runs inside the end's namespace.
func (e end) configure() error {
	link, err := netlink.LinkByName(e.name)
	if err != nil {
		return err
	}
	if err := setOffloads(link, e.offloads); err != nil {
		return err
	}
	for _, text := range e.addresses {
		address, err := netlink.ParseAddr(text)
		if err != nil {
			return err
		}
		// Without NODAD an IPv6 address is of no use for a second.
		address.Flags = unix.IFA_F_NODAD
		if err := netlink.AddrAdd(link, address); err != nil {
			return fmt.Errorf("add address %s: %w", text, err)
		}
	}
	return netlink.LinkSetUp(link)
}

// awaitUp waits until the interface passes packets. The kernel starts its queue some time after both ends are
// up; what is sent before is dropped without a trace, and a lost SYN costs a second.
func (e end) awaitUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		var state netlink.LinkOperState
		err := e.in.Do(func() error {
			link, err := netlink.LinkByName(e.name)
			if err == nil {
				state = link.Attrs().OperState
			}
			return err
		})
		if err != nil || state == netlink.OperUp {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: it is %s: %w", e.name, state, ctx.Err())
		case <-tick.C:
		}
	}
}

// loopbackUp and removeLinks run inside the namespace they are for.
func loopbackUp() error {
	link, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

func removeLinks() error {
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	var errs []error
	for _, link := range links {
		if link.Type() != "veth" {
			continue
		}
		// The other end's namespace may have taken the pair away already.
		if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, fmt.Errorf("delete %s: %w", link.Attrs().Name, err))
		}
	}
	return errors.Join(errs...)
}
