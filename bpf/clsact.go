package bpf

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// filter is a classifier on an interface's clsact qdisc. It stays in force until it is removed.
type filter struct {
	netlink.BpfFilter
	link netlink.Link
	side side
	id   ebpf.ProgramID
}

// Close implements attachment: the kernel holds the program.
func (*filter) Close() error { return nil }

// Remove implements attachment. The qdisc stays: somebody else may have come to use it.
func (f *filter) Remove() error {
	if err := netlink.FilterDel(&f.BpfFilter); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove filter: %w", err)
	}
	return nil
}

// InForce implements attachment. The kernel lists filters in the order in which they run.
func (f *filter) InForce() (on bool, ahead string, err error) {
	filters, err := dump(func() ([]netlink.Filter, error) { return netlink.FilterList(f.link, clsactParent(f.side)) })
	if err != nil {
		return false, "", fmt.Errorf("list filters: %w", err)
	}
	place := slices.IndexFunc(filters, func(other netlink.Filter) bool {
		own, ok := other.(*netlink.BpfFilter)
		return ok && own.Name == f.Name && ebpf.ProgramID(own.Id) == f.id
	})
	if place < 0 {
		return false, "", nil
	}
	var before []string
	for _, other := range filters[:place] {
		before = append(before, fmt.Sprintf("%s[pref %d]", other.Type(), other.Attrs().Priority))
	}
	return true, strings.Join(before, " "), nil
}

// attachClsact adds the program to the interface's clsact qdisc, which it makes if there is none. Filters of others stay
// as they are; one that an earlier agent left, known by its name, is replaced in place.
func attachClsact(l netlink.Link, s side, program *ebpf.Program) (attachment, error) {
	qdisc := &netlink.GenericQdisc{QdiscType: "clsact", QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
	if err := netlink.QdiscAdd(qdisc); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("add clsact qdisc (in Linux since 4.5): %w", err)
	}
	parent, name := clsactParent(s), "fivetuple_"+string(s)
	attrs, err := ownFilter(l, parent, name)
	if err != nil {
		return nil, err
	}
	f := netlink.BpfFilter{FilterAttrs: attrs, Fd: program.FD(), Name: name, DirectAction: true}
	if err := netlink.FilterReplace(&f); err != nil {
		return nil, fmt.Errorf("add filter: %w", err)
	}
	if f.FilterAttrs, err = ownFilter(l, parent, name); err != nil {
		return nil, err
	}
	info, err := program.Info()
	if err != nil {
		return nil, fmt.Errorf("ask for the program: %w", err)
	}
	id, _ := info.ID()
	return &filter{BpfFilter: f, link: l, side: s, id: id}, nil
}

func clsactParent(s side) uint32 {
	if s == ingress {
		return netlink.HANDLE_MIN_INGRESS
	}
	return netlink.HANDLE_MIN_EGRESS
}

// ownFilter returns the place of the filter of a name, or one before all others, so that none of them ends the chain
// before it. Priority 0, with which the kernel chooses, would come behind every filter that has a priority of its own.
func ownFilter(l netlink.Link, parent uint32, name string) (netlink.FilterAttrs, error) {
	filters, err := dump(func() ([]netlink.Filter, error) { return netlink.FilterList(l, parent) })
	if err != nil {
		return netlink.FilterAttrs{}, fmt.Errorf("list filters: %w", err)
	}
	free := netlink.FilterAttrs{LinkIndex: l.Attrs().Index, Parent: parent, Protocol: unix.ETH_P_ALL}
	for _, f := range filters {
		if own, ok := f.(*netlink.BpfFilter); ok && own.Name == name {
			return own.FilterAttrs, nil
		}
		// Beside another BPF filter of priority 1 the kernel puts the newer one first.
		if before := max(f.Attrs().Priority-1, 1); free.Priority == 0 || before < free.Priority {
			free.Priority = before
		}
	}
	return free, nil
}
