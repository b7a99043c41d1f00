package bpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

// tcxLink is a pinned TCX link: it goes on counting while no agent runs, and the next agent takes it over.
type tcxLink struct {
	link.Link
	ifindex int
	side    side
}

// Remove implements attachment.
func (l tcxLink) Remove() error { return errors.Join(l.Unpin(), l.Close()) }

// InForce implements attachment.
func (l tcxLink) InForce() (bool, error) { return isOnTCX(l.Link, l.ifindex, l.side) }

// isOnTCX reports whether a link is in the chain of this namespace's interface: a link knows an interface only by its
// index, which another namespace has, too.
func isOnTCX(l link.Link, ifindex int, s side) (bool, error) {
	info, err := l.Info()
	if err != nil {
		return false, fmt.Errorf("ask for the link: %w", err)
	}
	chain, err := link.QueryPrograms(link.QueryOptions{Target: ifindex, Attach: attachType(s)})
	if err != nil {
		return false, fmt.Errorf("list the programs of interface %d, %s: %w", ifindex, s, err)
	}
	return slices.ContainsFunc(chain.Programs, func(p link.AttachedProgram) bool {
		id, ok := p.LinkID()
		return ok && id == info.ID
	}), nil
}

// attachTCX updates the pinned link of an earlier agent in place, so that no packet is missed, or makes one at the head
// of the chain, where nobody who ends the chain comes before it.
func attachTCX(l netlink.Link, s side, program *ebpf.Program, p *pins) (attachment, error) {
	index := l.Attrs().Index
	if own, err := adoptTCX(linkPin(p, index, s), index, s); own != nil || err != nil {
		if err != nil {
			return nil, err
		}
		if err := own.Update(program); err != nil {
			return nil, errors.Join(fmt.Errorf("update the link: %w", err), own.Close())
		}
		return tcxLink{own, index, s}, nil
	}
	fresh, err := link.AttachTCX(link.TCXOptions{
		Interface: index, Program: program, Attach: attachType(s), Anchor: link.Head(),
	})
	if err != nil {
		return nil, err
	}
	t := tcxLink{fresh, index, s}
	if err := t.pin(p); err != nil {
		return nil, errors.Join(err, fresh.Close())
	}
	return t, nil
}

func (l tcxLink) pin(p *pins) error {
	path := linkPin(p, l.ifindex, l.side)
	if err := p.mkdir(filepath.Dir(path)); err != nil {
		return err // before the link is in a folder that is somebody else's
	}
	if err := l.Pin(path); err != nil {
		return fmt.Errorf("pin the link: %w", err)
	}
	return nil
}

// linkPin returns the path of the pin of a link.
func linkPin(p *pins, ifindex int, s side) string {
	return filepath.Join(p.root, "links", fmt.Sprintf("%d_%s", ifindex, s))
}

func attachType(s side) ebpf.AttachType {
	if s == ingress {
		return ebpf.AttachTCXIngress
	}
	return ebpf.AttachTCXEgress
}

// adoptTCX opens a pinned link if it is ours: a TCX link on this side of this interface. What is left of one that was
// detached or whose interface is gone, or is something else, is unpinned; the link of a stranger lives on by the
// stranger's own hold.
func adoptTCX(path string, ifindex int, s side) (link.Link, error) {
	l, err := link.LoadPinnedLink(path, nil)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil //nolint:nilnil // no link is no error
	}
	if err != nil {
		return nil, fmt.Errorf("open pinned link: %w", err)
	}
	on, err := isOnTCX(l, ifindex, s)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if on {
		return l, nil
	}
	return nil, errors.Join(l.Unpin(), l.Close())
}
