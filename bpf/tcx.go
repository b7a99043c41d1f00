package bpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

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
func (l tcxLink) InForce() (on bool, ahead string, err error) {
	place, chain, err := placeOnTCX(l.Link, l.ifindex, l.side)
	if place < 0 || err != nil {
		return false, "", err
	}
	return true, describePrograms(chain[:place]), nil
}

// placeOnTCX returns the place of a link in the chain of this namespace's interface, and the chain; -1: it is not there. A
// link knows an interface only by its index, which another namespace has, too.
func placeOnTCX(l link.Link, ifindex int, s side) (int, []ebpf.ProgramID, error) {
	info, err := l.Info()
	if err != nil {
		return -1, nil, fmt.Errorf("ask for the link: %w", err)
	}
	chain, err := link.QueryPrograms(link.QueryOptions{Target: ifindex, Attach: attachType(s)})
	if err != nil {
		return -1, nil, fmt.Errorf("list the programs of interface %d, %s: %w", ifindex, s, err)
	}
	place, ids := -1, make([]ebpf.ProgramID, len(chain.Programs))
	for i, p := range chain.Programs {
		ids[i] = p.ID
		if id, ok := p.LinkID(); ok && id == info.ID {
			place = i
		}
	}
	return place, ids, nil
}

// describePrograms returns names and numbers, as bpftool prints them. Without CAP_SYS_ADMIN there are only numbers.
func describePrograms(ids []ebpf.ProgramID) string {
	var programs []string
	for _, id := range ids {
		name := ""
		if p, err := ebpf.NewProgramFromID(id); err == nil {
			if info, err := p.Info(); err == nil {
				name = info.Name
			}
			_ = p.Close()
		}
		programs = append(programs, fmt.Sprintf("%s[%d]", name, id))
	}
	return strings.Join(programs, " ")
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
	place, _, err := placeOnTCX(l, ifindex, s)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if place >= 0 {
		return l, nil
	}
	return nil, errors.Join(l.Unpin(), l.Close())
}
