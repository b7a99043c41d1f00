package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
)

// side is a direction to attach to: "ingress" or "egress".
type side string

const (
	ingress side = "ingress"
	egress  side = "egress"
)

// program returns the program of a side.
func (t *tables) program(s side) *ebpf.Program {
	if s == ingress {
		return t.Ingress
	}
	return t.Egress
}

// attachment is a program on one side of an interface. Close leaves it in force if it is pinned; Remove never does.
type attachment interface {
	Close() error
	Remove() error
}

// attach puts the programs on both sides of an interface: by TCX, or by clsact where the kernel has no TCX (before 6.6).
func attach(l netlink.Link, t *tables, p *pins) ([]attachment, error) {
	var done []attachment
	for _, s := range []side{ingress, egress} {
		a, err := attachTCX(l, s, t.program(s), p)
		if errors.Is(err, ebpf.ErrNotSupported) {
			a, err = attachClsact(l, s, t.program(s))
		}
		if err != nil {
			err = explain(fmt.Errorf("attach to %s, %s: %w", l.Attrs().Name, s, err))
			for _, a := range done {
				err = errors.Join(err, a.Remove())
			}
			return nil, err
		}
		done = append(done, a)
	}
	return done, nil
}
