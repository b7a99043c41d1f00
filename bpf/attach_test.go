package bpf

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// foreign is somebody else's program: it counts its packets and returns a verdict.
type foreign struct {
	*ebpf.Program
	counts *ebpf.Map
}

func newForeign(t *testing.T, verdict int32) *foreign {
	t.Helper()
	counts, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	must(t, err)
	t.Cleanup(func() { _ = counts.Close() })
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "stranger", Type: ebpf.SchedCLS, License: "GPL",
		Instructions: asm.Instructions{
			asm.StoreImm(asm.RFP, -4, 0, asm.Word),
			asm.Mov.Reg(asm.R2, asm.RFP),
			asm.Add.Imm(asm.R2, -4),
			asm.LoadMapPtr(asm.R1, counts.FD()),
			asm.FnMapLookupElem.Call(),
			asm.JEq.Imm(asm.R0, 0, "out"),
			asm.Mov.Imm(asm.R1, 1),
			asm.StoreXAdd(asm.R0, asm.R1, asm.DWord),
			asm.Mov.Imm(asm.R0, verdict).WithSymbol("out"),
			asm.Return(),
		},
	})
	must(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return &foreign{p, counts}
}

func (f *foreign) packets(t *testing.T) (n uint64) {
	t.Helper()
	must(t, f.counts.Lookup(uint32(0), &n))
	return n
}

func (f *foreign) attachTCX(t *testing.T, ifindex int, s side, anchor link.Anchor) {
	t.Helper()
	l, err := link.AttachTCX(link.TCXOptions{Interface: ifindex, Program: f.Program, Attach: attachType(s), Anchor: anchor})
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
}

// hasTCX reports whether the kernel has TCX. One of Linux 6.6 or newer has to have it.
func hasTCX(t testing.TB) bool {
	t.Helper()
	_, err := link.QueryPrograms(link.QueryOptions{Target: 1, Attach: ebpf.AttachTCXIngress})
	if err == nil {
		return true
	}
	var uts unix.Utsname
	must(t, unix.Uname(&uts))
	var major, minor int
	if _, scanned := fmt.Sscanf(unix.ByteSliceToString(uts.Release[:]), "%d.%d", &major, &minor); scanned != nil || major > 6 || major == 6 && minor >= 6 {
		t.Fatalf("this kernel must have TCX: %v", err)
	}
	return false
}

// needTCX leaves out a test of TCX itself on a kernel that is too old for it.
func needTCX(t testing.TB) {
	t.Helper()
	if !hasTCX(t) {
		t.Skip("left out: no TCX, which is in Linux since 6.6")
	}
}

// attachOnEgress puts somebody else's program on an interface, for as long as that lives.
func attachOnEgress(l netlink.Link, p *ebpf.Program) error {
	qdisc := &netlink.GenericQdisc{QdiscType: "clsact", QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
	return errors.Join(netlink.QdiscAdd(qdisc), netlink.FilterAdd(&netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: l.Attrs().Index, Parent: netlink.HANDLE_MIN_EGRESS, Protocol: unix.ETH_P_ALL, Priority: 1},
		Fd:          p.FD(), Name: "stranger", DirectAction: true,
	}))
}

func TestForeignTCXProgramsGoOn(t *testing.T) {
	needTCX(t)
	inNamespace(t)
	lo := linkNamed(t, "lo").Attrs().Index
	before, after := newForeign(t, -1), newForeign(t, -1)
	after.attachTCX(t, lo, ingress, link.Head()) // the agent puts its own before it
	pins := pinFolder(t, false)
	a := startAgent(t, agentOptions(pins))
	before.attachTCX(t, lo, ingress, link.Head())

	c, key := dial(t, echo(t, "127.0.0.1:0"))
	call(t, c, "hello")
	if lookUp(t, newTestReader(t, pins), key).Conn.Dir[0].Payload != 5 {
		t.Error("our program did not count")
	}
	if before.packets(t) == 0 || after.packets(t) != before.packets(t) {
		t.Errorf("the one before saw %d packets, the one behind %d", before.packets(t), after.packets(t))
	}
	must(t, a.Close())
	seen := after.packets(t)
	call(t, c, "again")
	if n := attachedPrograms(t, "lo"); n != 2 || after.packets(t) == seen {
		t.Errorf("%d programs after Close, want the two foreign ones; packets %d, then %d", n, seen, after.packets(t))
	}
}

// TestStrangersLinkIsNotUpdated: what lies where our pins lie is not ours for that.
func TestStrangersLinkIsNotUpdated(t *testing.T) {
	needTCX(t)
	inNamespace(t)
	stranger := newForeign(t, -1)
	lo := linkNamed(t, "lo").Attrs().Index
	pins := pinFolder(t, true)
	must(t, startAgent(t, agentOptions(pins, onExitKeep)).Close())
	path := pins + "/links/1_ingress"
	must(t, unix.Unlink(path))
	l, err := link.AttachTCX(link.TCXOptions{Interface: lo, Program: stranger.Program, Attach: ebpf.AttachTCXEgress})
	must(t, err)
	defer l.Close()
	must(t, l.Pin(path))
	startAgent(t, agentOptions(pins))
	if n := attachedPrograms(t, "lo"); n != 3 {
		t.Errorf("%d programs, want ours and the stranger's", n)
	}
	c, _ := dial(t, echo(t, "127.0.0.1:0"))
	call(t, c, "hello")
	if stranger.packets(t) == 0 {
		t.Error("the stranger's program is gone")
	}
}

// clsactTables are loaded programs for attachClsact; the test attaches them itself.
func clsactTables(t *testing.T) *tables {
	t.Helper()
	spec, err := configure(testOptions())
	must(t, err)
	loaded, err := load(spec, nil)
	must(t, err)
	t.Cleanup(func() { _ = loaded.Close() })
	return loaded
}

func attachBoth(t *testing.T, l netlink.Link, loaded *tables) (both []attachment) {
	t.Helper()
	for _, s := range []side{ingress, egress} {
		a, err := attachClsact(l, s, loaded.program(s))
		must(t, err)
		both = append(both, a)
	}
	return both
}

// filters returns the BPF filters of a side by name, and fails if two have one name.
func filters(t testing.TB, l netlink.Link, s side) map[string]*netlink.BpfFilter {
	t.Helper()
	list, err := netlink.FilterList(l, clsactParent(s))
	must(t, err)
	byName := make(map[string]*netlink.BpfFilter)
	for _, f := range list {
		own := f.(*netlink.BpfFilter)
		if byName[own.Name] != nil {
			t.Errorf("two filters are called %s", own.Name)
		}
		byName[own.Name] = own
	}
	return byName
}

func addForeignFilter(t *testing.T, l netlink.Link, f *foreign, priority uint16) {
	t.Helper()
	must(t, netlink.QdiscAdd(&netlink.GenericQdisc{QdiscType: "clsact", QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}))
	must(t, netlink.FilterAdd(&netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: l.Attrs().Index, Parent: netlink.HANDLE_MIN_INGRESS, Protocol: unix.ETH_P_ALL, Priority: priority, Handle: 5,
		},
		Fd: f.FD(), Name: "stranger", DirectAction: true,
	}))
}

func flows(t *testing.T, loaded *tables) int {
	t.Helper()
	reasons, err := readReasons(loaded.Reasons)
	must(t, err)
	return int(reasons[0][RecordedFlow] + reasons[1][RecordedFlow])
}

func TestClsactCounts(t *testing.T) {
	inNamespace(t)
	lo, loaded := linkNamed(t, "lo"), clsactTables(t)
	both := attachBoth(t, lo, loaded)
	c, _ := dial(t, echo(t, "127.0.0.1:0"))
	call(t, c, "hello")
	seen := flows(t, loaded)
	if seen < 8 {
		t.Errorf("%d packets counted", seen)
	}
	for _, a := range both {
		must(t, a.Remove())
		must(t, a.Remove()) // again is no error
	}
	call(t, c, "again")
	if n := len(filters(t, lo, ingress)) + len(filters(t, lo, egress)); n != 0 || flows(t, loaded) != seen {
		t.Errorf("%d filters left; %d packets counted, then %d", n, seen, flows(t, loaded))
	}
}

// TestClsactBesideOthers: a stranger whose filter ends the chain (TC_ACT_OK) was there first.
func TestClsactBesideOthers(t *testing.T) {
	for _, priority := range []uint16{1, 2, 77, 49152, 65535} {
		t.Run(fmt.Sprint(priority), func(t *testing.T) {
			inNamespace(t)
			lo, loaded, stranger := linkNamed(t, "lo"), clsactTables(t), newForeign(t, 0)
			addForeignFilter(t, lo, stranger, priority)
			before := *filters(t, lo, ingress)["stranger"]
			both := attachBoth(t, lo, loaded)
			c, _ := dial(t, echo(t, "127.0.0.1:0"))
			call(t, c, "hello")
			if flows(t, loaded) < 8 || stranger.packets(t) < 5 {
				t.Errorf("we saw %d packets, the stranger %d", flows(t, loaded), stranger.packets(t))
			}
			for _, a := range both {
				must(t, a.Remove())
			}
			left := filters(t, lo, ingress)
			if s := left["stranger"]; len(left) != 1 || s == nil || s.Id != before.Id || s.Priority != before.Priority {
				t.Errorf("left: %v, before: %v", s, before)
			}
			seen := stranger.packets(t)
			call(t, c, "again")
			if stranger.packets(t) == seen {
				t.Error("the stranger's filter is dead")
			}
		})
	}
}

func TestClsactIsReplacedInPlace(t *testing.T) {
	inNamespace(t)
	lo, first, second := linkNamed(t, "lo"), clsactTables(t), clsactTables(t)
	addForeignFilter(t, lo, newForeign(t, -1), 77)
	attachBoth(t, lo, first)
	old := filters(t, lo, ingress)["fivetuple_ingress"]
	both := attachBoth(t, lo, second)
	now := filters(t, lo, ingress)
	if fresh := now["fivetuple_ingress"]; len(now) != 2 || fresh.Id == old.Id || fresh.Priority != old.Priority || fresh.Handle != old.Handle {
		t.Errorf("%d filters; ours was %v and is %v", len(now), old, fresh)
	}
	c, _ := dial(t, echo(t, "127.0.0.1:0"))
	call(t, c, "hello")
	if flows(t, first) != 0 || flows(t, second) < 8 {
		t.Errorf("the first counted %d packets, the second %d", flows(t, first), flows(t, second))
	}
	for _, a := range both {
		must(t, a.Close())
	}
	if len(filters(t, lo, ingress)) != 2 {
		t.Error("Close removed a filter")
	}
}

func TestClsactOnGoneInterface(t *testing.T) {
	inNamespace(t)
	ours := addVeth(t, newNamespace(t))
	both := attachBoth(t, ours, clsactTables(t))
	must(t, netlink.LinkDel(ours))
	for _, a := range both {
		must(t, a.Remove())
	}
}
