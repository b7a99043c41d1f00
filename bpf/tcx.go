package bpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

// tcxLink is a pinned TCX link: it goes on counting while no agent runs, and the next agent takes it over.
type tcxLink struct {
	link.Link
}

// Remove implements attachment.
func (l tcxLink) Remove() error { return errors.Join(l.Unpin(), l.Close()) }

// attachTCX updates the pinned link of an earlier agent in place, so that no packet is missed, or makes one at the head
// of the chain, where nobody who ends the chain comes before it.
func attachTCX(l netlink.Link, s side, program *ebpf.Program, p *pins) (attachment, error) {
	path := filepath.Join(p.root, "links", fmt.Sprintf("%d_%s", l.Attrs().Index, s))
	if own, err := adoptTCX(path, l.Attrs().Index, s); own != nil || err != nil {
		if err != nil {
			return nil, err
		}
		if err := own.Update(program); err != nil {
			return nil, errors.Join(fmt.Errorf("update the link: %w", err), own.Close())
		}
		return tcxLink{own}, nil
	}
	fresh, err := link.AttachTCX(link.TCXOptions{
		Interface: l.Attrs().Index, Program: program, Attach: attachType(s), Anchor: link.Head(),
	})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(p.mkdir(filepath.Dir(path)), fresh.Pin(path)); err != nil {
		return nil, errors.Join(fmt.Errorf("pin the link: %w", err), fresh.Close())
	}
	return tcxLink{fresh}, nil
}

func attachType(s side) ebpf.AttachType {
	if s == ingress {
		return ebpf.AttachTCXIngress
	}
	return ebpf.AttachTCXEgress
}

// adoptTCX opens a pinned link if it is ours: a TCX link on this side of this interface. What is left of one whose
// interface is gone, or is something else, is unpinned; the link of a stranger lives on by the stranger's own hold.
func adoptTCX(path string, ifindex int, s side) (link.Link, error) {
	l, err := link.LoadPinnedLink(path, nil)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil //nolint:nilnil // no link is no error
	}
	if err != nil {
		return nil, fmt.Errorf("open pinned link: %w", err)
	}
	info, err := l.Info()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ask for the pinned link: %w", err), l.Close())
	}
	if tcx := info.TCX(); tcx != nil && int(tcx.Ifindex) == ifindex && ebpf.AttachType(tcx.AttachType) == attachType(s) {
		return l, nil
	}
	return nil, errors.Join(l.Unpin(), l.Close())
}
