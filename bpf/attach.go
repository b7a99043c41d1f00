package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// side is a direction to attach to: "ingress" or "egress".
type side string

const (
	ingress side = "ingress"
	egress  side = "egress"
)

// sides returns both directions.
func sides() [2]side { return [2]side{ingress, egress} }

// program returns the program of a side.
func (t *tables) program(s side) *ebpf.Program {
	if s == ingress {
		return t.Ingress
	}
	return t.Egress
}

// attachment is a program on one side of an interface. Close leaves it in force if it is pinned; Remove never does.
type attachment interface {
	// InForce reports whether the program is still on its interface, and which programs of others run before it, separated
	// by spaces: anybody with CAP_NET_ADMIN may take it off, and put another one before it.
	InForce() (on bool, ahead string, err error)
	Close() error
	Remove() error
}

// attach puts the program on a side of an interface: by TCX, or by clsact where the kernel has no TCX (before 6.6).
func attach(l netlink.Link, s side, t *tables, p *pins) (attachment, error) {
	a, err := attachTCX(l, s, t.program(s), p)
	if errors.Is(err, ebpf.ErrNotSupported) {
		a, err = attachClsact(l, s, t.program(s))
	}
	if errors.Is(err, unix.ENODEV) {
		return nil, fmt.Errorf("attach to %s, %s: %w", l.Attrs().Name, s, err) // nothing is missing but the interface
	}
	if err != nil {
		return nil, explain(fmt.Sprintf("attach to %s, %s", l.Attrs().Name, s), err)
	}
	return a, nil
}
