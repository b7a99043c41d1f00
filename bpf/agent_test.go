package bpf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/rs/zerolog"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"fivetuple/correlator/flow"
)

func agentOptions(pins string, set ...func(*Options)) Options {
	o := testOptions()
	o.Pins.Path = pins
	for _, s := range set {
		s(&o)
	}
	return o
}

func onExitKeep(o *Options) { o.OnExit = ExitKeep }

func watch(names ...string) func(*Options) { return func(o *Options) { o.Interfaces = names } }

// startAgent starts an agent in this thread's namespace; what it has goes with the test, if it is still there.
func startAgent(t *testing.T, o Options) *Agent {
	t.Helper()
	a, err := Start(o, zerolog.New(zerolog.NewTestWriter(t)))
	must(t, err)
	t.Cleanup(func() { _ = a.remove() })
	return a
}

func newTestReader(t testing.TB, pins string) *Reader {
	t.Helper()
	clock, err := NewClock()
	must(t, err)
	r, err := NewReader(pins, time.Hour, clock)
	must(t, err)
	return r
}

func lookUp(t testing.TB, r *Reader, k flow.Key) flow.Record {
	t.Helper()
	must(t, r.Refresh())
	var record flow.Record
	if err := r.Lookup(k, &record); err != nil {
		t.Fatalf("look up %v: %v", k, err)
	}
	return record
}

// attachedPrograms returns how many BPF programs are on an interface: of TCX, or filters where the kernel has no TCX.
func attachedPrograms(t testing.TB, name string) int {
	t.Helper()
	n := 0
	for _, s := range []side{ingress, egress} {
		if !hasTCX(t) {
			n += len(filters(t, linkNamed(t, name), s))
			continue
		}
		q, err := link.QueryPrograms(link.QueryOptions{Target: linkNamed(t, name).Attrs().Index, Attach: attachType(s)})
		must(t, err)
		n += len(q.Programs)
	}
	return n
}

// pinnedLinks lists the pins of links. Without TCX there are none.
func pinnedLinks(t testing.TB, pins string) []string {
	t.Helper()
	if !hasTCX(t) {
		return nil
	}
	return entriesOf(t, filepath.Join(pins, "links"))
}

// entriesOf lists a folder, without what the kernel puts into every BPF file system (maps.debug, progs.debug).
func entriesOf(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".debug") {
			names = append(names, e.Name())
		}
	}
	return names
}

func tablesDir(t testing.TB, pins string) string {
	t.Helper()
	hash, err := Layout()
	must(t, err)
	return filepath.Join(pins, layoutDir(hash))
}

func TestAgentCountsConnections(t *testing.T) {
	inNamespace(t)
	pins := pinFolder(t, false)
	a := startAgent(t, agentOptions(pins))
	c, key := dial(t, echo(t, "127.0.0.1:0"))
	call(t, c, "GET / HTTP/1.1\r\n\r\n")
	call(t, c, "GET /2 HTTP/1.1\r\n\r\n")

	reader := newTestReader(t, pins)
	server := lookUp(t, reader, key)
	client := lookUp(t, reader, flow.NewKey(flow.TCP, key.RemoteAddr(), key.LocalAddr()))
	for who, r := range map[string]flow.Record{"server": server, "client": client} {
		same(t, [3]uint64{uint64(r.Exchange), r.Conn.Dir[0].Payload, r.Conn.Dir[1].Payload}, [3]uint64{2, 37, 37})
		if rtt, ok := r.RTT.RTT(); !ok || r.Conn.Origin != flow.OriginHandshake || rtt > 5_000_000 {
			t.Errorf("%s: origin %d, round-trip time %d (%v)", who, r.Conn.Origin, rtt, ok)
		}
	}
	if got := server.Conn.Dir[flow.RX].Begins(); got != flow.PayloadHTTP1 {
		t.Errorf("first payload is %d", got)
	}
	reasons, err := readReasons(a.tables.Reasons)
	must(t, err)
	for dir, counts := range reasons {
		for reason, n := range counts {
			if n > 0 && Reason(reason) > RecordedUDP {
				t.Errorf("direction %d: %d packets counted as %v", dir, n, Reason(reason))
			}
		}
	}
}

func TestAgentCountsIPv6(t *testing.T) {
	inNamespace(t)
	pins := pinFolder(t, false)
	startAgent(t, agentOptions(pins))
	c, key := dial(t, echo(t, "[::1]:0"))
	call(t, c, "hello")
	same(t, lookUp(t, newTestReader(t, pins), key).Conn.Dir[flow.RX].Payload, uint64(5))
}

// TestAgentCountsTagged: a tag may lie in the packet's metadata instead of its data. The other side's packets get one
// like that on their way out; as nobody here has that VLAN, they end behind our program.
func TestAgentCountsTagged(t *testing.T) {
	inNamespace(t)
	other := newNamespace(t)
	addVeth(t, other)
	a := startAgent(t, agentOptions(pinFolder(t, false), watch("ft0")))
	remote := netip.MustParseAddrPort("192.0.2.2:50000")
	must(t, <-other.start(func() error {
		peer, err := netlink.LinkByName("peer")
		if err != nil {
			return err
		}
		tagger := newTagger(t)
		if err := attachOnEgress(peer, tagger); err != nil {
			return err
		}
		d := net.Dialer{Timeout: 200 * time.Millisecond, LocalAddr: net.TCPAddrFromAddrPort(remote)}
		if c, err := d.Dial("tcp", "192.0.2.1:80"); err == nil {
			return errors.Join(errors.New("the tag was not added"), c.Close())
		}
		return nil
	}))
	var half flow.Handshake
	must(t, a.tables.HalfOpen.Lookup(flow.NewKey(flow.TCP, netip.MustParseAddrPort("192.0.2.1:80"), remote), &half))
	rx := half.Conn.Dir[flow.RX]
	same(t, [2]uint64{rx.Packets, rx.Bytes}, [2]uint64{1, 60})
}

// newTagger returns a program that adds an 802.1Q tag to IPv4 packets.
func newTagger(t *testing.T) *ebpf.Program {
	t.Helper()
	const protocol, ipv4, tpid = 16, 0x0008, 0x0081 // offset in struct __sk_buff; in network order
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "GPL",
		Instructions: asm.Instructions{
			asm.LoadMem(asm.R2, asm.R1, protocol, asm.Word),
			asm.JNE.Imm(asm.R2, ipv4, "out"),
			asm.Mov.Imm(asm.R2, tpid),
			asm.Mov.Imm(asm.R3, 7),
			asm.FnSkbVlanPush.Call(),
			asm.Mov.Imm(asm.R0, -1).WithSymbol("out"),
			asm.Return(),
		},
	})
	must(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// callFrom calls an echo server here from the other namespace, and returns the connection's key as seen from here.
func callFrom(t *testing.T, other *namespace, address string) (key flow.Key) {
	t.Helper()
	server := echo(t, address)
	must(t, <-other.start(func() error {
		c, k := dial(t, server)
		key = k
		return callOnce(c, "hello")
	}))
	return key
}

func TestAgentCountsOnVeth(t *testing.T) {
	inNamespace(t)
	other := newNamespace(t)
	addVeth(t, other)
	pins := pinFolder(t, false)
	startAgent(t, agentOptions(pins, watch("ft*")))
	r := lookUp(t, newTestReader(t, pins), callFrom(t, other, "192.0.2.1:0"))
	same(t, [3]uint64{r.Conn.Dir[0].Payload, r.Conn.Dir[1].Payload, uint64(r.Exchange)}, [3]uint64{5, 5, 1})
}

func TestMidstreamSocket(t *testing.T) {
	inNamespace(t)
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		c, key := dial(t, echo(t, address))
		call(t, c, "before the agent")
		pins := pinFolder(t, false)
		a := startAgent(t, agentOptions(pins))
		call(t, c, "after its start")
		r := lookUp(t, newTestReader(t, pins), key)
		if r.Conn.Origin != flow.OriginMidstream || r.Conn.Dir[flow.RX].Payload != 15 {
			t.Errorf("%s: origin %d, payload %d", address, r.Conn.Origin, r.Conn.Dir[flow.RX].Payload)
		}
		must(t, a.Close())
	}
}

func TestListenerIsNoMidstream(t *testing.T) {
	inNamespace(t)
	k := newKernel(t)
	server := echo(t, "127.0.0.1:0")
	tu := tuple{server, tuple4.remote}
	k.want(NoConnection, flow.RX, tu.tcp(flow.RX, request))
}

// TestFailedStartKeepsWhatWasThere: an agent that cannot attach leaves an earlier one's program at work.
func TestFailedStartKeepsWhatWasThere(t *testing.T) {
	needTCX(t)
	inNamespace(t)
	pins := pinFolder(t, true)
	must(t, startAgent(t, agentOptions(pins, onExitKeep)).Close())
	addVeth(t, newNamespace(t))
	// What lies in the place of the new interface's link cannot be opened as one.
	must(t, os.Mkdir(filepath.Join(pins, "links", fmt.Sprintf("%d_ingress", linkNamed(t, "ft0").Attrs().Index)), 0o700))
	before := pinInodes(t, pins)
	if _, err := Start(agentOptions(pins, watch("lo", "ft0")), zerolog.Nop()); err == nil || !strings.Contains(err.Error(), "ft0") {
		t.Fatalf("the start: %v, want an error about ft0", err)
	}
	if n := attachedPrograms(t, "lo"); n != 2 {
		t.Errorf("%d programs after it, want 2", n)
	}
	if after := pinInodes(t, pins); !slices.Equal(before, after) {
		t.Errorf("pins %v, before %v", after, before)
	}
}

func TestRestartKeeps(t *testing.T) {
	inNamespace(t)
	pins := pinFolder(t, true)
	a := startAgent(t, agentOptions(pins, onExitKeep))
	c, key := dial(t, echo(t, "127.0.0.1:0"))
	call(t, c, "first")
	reader := newTestReader(t, pins)
	before := lookUp(t, reader, key)
	must(t, a.Close())
	if n := attachedPrograms(t, "lo"); n != 2 {
		t.Fatalf("%d programs while no agent runs, want 2", n)
	}
	call(t, c, "none runs")
	same(t, lookUp(t, reader, key).Conn.Dir[flow.RX].Payload, uint64(14))

	must(t, os.Remove(filepath.Join(tablesDir(t, pins), readPin))) // which every agent replaces
	inodes := pinInodes(t, pins)
	startAgent(t, agentOptions(pins))
	if n := attachedPrograms(t, "lo"); n != 2 {
		t.Errorf("%d programs after a restart, want 2", n)
	}
	wantProgram(t, reader, true)
	must(t, os.Remove(filepath.Join(tablesDir(t, pins), readPin)))
	if again := pinInodes(t, pins); !slices.Equal(inodes, again) {
		t.Errorf("pins were replaced: %v, then %v", inodes, again)
	}
	call(t, c, "again")
	after := lookUp(t, reader, key)
	same(t, [3]uint64{after.Conn.ID, after.Conn.Dir[flow.RX].Payload, uint64(after.Exchange)}, [3]uint64{before.Conn.ID, 19, 3})
}

// pinInodes returns the inodes of all pins.
func pinInodes(t *testing.T, pins string) (inodes []uint64) {
	t.Helper()
	paths := pinnedLinks(t, pins)
	for i := range paths {
		paths[i] = filepath.Join(pins, "links", paths[i])
	}
	for _, name := range entriesOf(t, tablesDir(t, pins)) {
		paths = append(paths, filepath.Join(tablesDir(t, pins), name))
	}
	for _, path := range paths {
		var stat unix.Stat_t
		must(t, unix.Stat(path, &stat))
		inodes = append(inodes, stat.Ino)
	}
	return inodes
}

// TestRestartIsNotBlind: a new agent publishes the earlier one's interfaces until it has attached to them itself.
func TestRestartIsNotBlind(t *testing.T) {
	inNamespace(t)
	addVeth(t, newNamespace(t))
	pins := pinFolder(t, true)
	must(t, startAgent(t, agentOptions(pins, onExitKeep, watch("*"))).Close())
	reader := newTestReader(t, pins)
	meta := reader.State().Meta
	same(t, [2]uint32{meta.Interfaces, meta.Loopback}, [2]uint32{2, 1})
	hash, err := Layout()
	must(t, err)
	p, err := openPins(agentOptions(pins).Pins)
	must(t, err)
	defer p.Close()
	loaded, err := loadPinned(agentOptions(pins), &flow.Meta{Layout: hash}, p, reader.clock.Now)
	must(t, err)
	defer loaded.Close()
	must(t, reader.Refresh())
	meta = reader.State().Meta
	same(t, [2]uint32{meta.Interfaces, meta.Loopback}, [2]uint32{2, 1})
}

func TestExitRemoveLeavesNothing(t *testing.T) {
	for _, mounted := range []bool{true, false} {
		t.Run(fmt.Sprintf("mounted=%v", mounted), func(t *testing.T) {
			inNamespace(t)
			pins := pinFolder(t, mounted)
			a := startAgent(t, agentOptions(pins))
			if n := attachedPrograms(t, "lo"); n != 2 || !isBPFFS(pins) {
				t.Fatalf("%d programs, BPF file system: %v", n, isBPFFS(pins))
			}
			must(t, a.Close())
			wantNothing(t, pins, mounted)
		})
	}
}

func wantNothing(t *testing.T, pins string, mounted bool) {
	t.Helper()
	if left := entriesOf(t, pins); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if isBPFFS(pins) != mounted {
		t.Errorf("BPF file system mounted: %v, before the agent: %v", !mounted, mounted)
	}
	if n := attachedPrograms(t, "lo"); n != 0 {
		t.Errorf("%d programs left", n)
	}
}

func TestSecondAgentIsRefused(t *testing.T) {
	inNamespace(t)
	pins := pinFolder(t, false)
	startAgent(t, agentOptions(pins))
	before := pinInodes(t, pins)
	_, err := Start(agentOptions(pins), zerolog.Nop())
	if err == nil || !strings.Contains(err.Error(), "another agent") {
		t.Errorf("second agent: %v", err)
	}
	if after := pinInodes(t, pins); !slices.Equal(before, after) || attachedPrograms(t, "lo") != 2 {
		t.Error("the second agent touched the first one's pins or programs")
	}
}

func TestWrongInterfaceTouchesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		interfaces []string
		says       string
	}{
		"missing":      {[]string{"lo", "ft9"}, "there is no ft9"},
		"none fits":    {[]string{"ft*"}, "none fits"},
		"not Ethernet": {[]string{"tun9"}, "tun9 is of type"},
	} {
		t.Run(name, func(t *testing.T) {
			inNamespace(t)
			addTun(t, "tun9")
			pins := pinFolder(t, true)
			must(t, startAgent(t, agentOptions(pins, onExitKeep)).Close())
			before := pinInodes(t, pins)
			_, err := Start(agentOptions(pins, watch(c.interfaces...)), zerolog.Nop())
			if !errors.Is(err, ErrInterface) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want it to say %q", err, c.says)
			}
			if after := pinInodes(t, pins); !slices.Equal(before, after) || attachedPrograms(t, "lo") != 2 {
				t.Error("an earlier agent's pins or programs were touched")
			}
		})
	}
}

func addTun(t *testing.T, name string) {
	t.Helper()
	err := netlink.LinkAdd(&netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: name}, Mode: netlink.TUNTAP_MODE_TUN})
	if errors.Is(err, os.ErrNotExist) {
		skip(t, "the kernel has no TUN interfaces")
	}
	must(t, err)
}

func TestWrongInterfaceLeavesNothing(t *testing.T) {
	inNamespace(t)
	pins := pinFolder(t, false)
	_, err := Start(agentOptions(pins, watch("lo", "ft9")), zerolog.Nop())
	if !errors.Is(err, ErrInterface) {
		t.Errorf("got %v", err)
	}
	wantNothing(t, pins, false)
}

func TestUnknownGroupLeavesNothing(t *testing.T) {
	inNamespace(t)
	pins := pinFolder(t, false)
	o := agentOptions(pins)
	o.Pins.Group = "no such group"
	if _, err := Start(o, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), "pins.group") {
		t.Errorf("got %v", err)
	}
	wantNothing(t, pins, false)
}

// runAgent runs the agent in the namespace until the test's end.
func runAgent(t *testing.T, n *namespace, a *Agent) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := n.start(func() error { return a.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestNewInterfaceIsWatched(t *testing.T) {
	here := inNamespace(t)
	other := newNamespace(t)
	runAgent(t, here, startAgent(t, agentOptions(pinFolder(t, false), watch("lo", "ft*"))))
	addVeth(t, other)
	eventually(t, 2*time.Second, "programs on the new interface", func() bool { return attachedPrograms(t, "ft0") == 2 })
}

func TestGoneInterfaceIsForgotten(t *testing.T) {
	needTCX(t) // a filter goes with its interface
	here := inNamespace(t)
	addVeth(t, newNamespace(t))
	pins := pinFolder(t, false)
	runAgent(t, here, startAgent(t, agentOptions(pins, watch("lo", "ft*"))))
	if n := len(entriesOf(t, filepath.Join(pins, "links"))); n != 4 {
		t.Fatalf("%d pinned links, want 4", n)
	}
	must(t, netlink.LinkDel(linkNamed(t, "ft0")))
	eventually(t, 2*time.Second, "its links' pins are gone", func() bool {
		return len(entriesOf(t, filepath.Join(pins, "links"))) == 2
	})
}

func TestHeartbeat(t *testing.T) {
	here := inNamespace(t)
	pins := pinFolder(t, false)
	runAgent(t, here, startAgent(t, agentOptions(pins)))
	reader := newTestReader(t, pins)
	first := reader.view.Load().published.Heartbeat
	eventually(t, 3*time.Second, "another heartbeat", func() bool {
		return reader.Refresh() == nil && reader.view.Load().published.Heartbeat > first
	})
}

// TestRemovedPinsAreMadeAgain: an operator who removes the pins, or the whole BPF file system, under a running agent.
func TestRemovedPinsAreMadeAgain(t *testing.T) {
	for name, remove := range map[string]func(pins string) error{
		"tables": func(pins string) error { return os.RemoveAll(tablesDir(t, pins)) },
		"all": func(pins string) error {
			return errors.Join(os.RemoveAll(filepath.Join(pins, "links")), os.RemoveAll(tablesDir(t, pins)))
		},
		"file system": func(pins string) error { return unix.Unmount(pins, unix.MNT_DETACH) },
	} {
		t.Run(name, func(t *testing.T) {
			inNamespace(t)
			pins := pinFolder(t, true)
			var log bytes.Buffer
			a, err := Start(agentOptions(pins, onExitKeep), zerolog.New(&log))
			must(t, err)
			t.Cleanup(func() { _ = a.remove() })
			c, key := dial(t, echo(t, "127.0.0.1:0"))
			call(t, c, "first")
			before := pinNames(t, pins)
			log.Reset()
			a.keepPinned()
			wantLog(t, &log)
			must(t, remove(pins))
			a.keepPinned()
			wantLog(t, &log, "pins were removed by another process; made again")
			same(t, pinNames(t, pins), before)
			call(t, c, "again")
			reader := newTestReader(t, pins)
			same(t, lookUp(t, reader, key).Conn.Dir[flow.RX].Payload, uint64(10))
			wantProgram(t, reader, true)
			_, err = Start(agentOptions(pins), zerolog.Nop())
			if err == nil || !strings.Contains(err.Error(), "another agent") {
				t.Errorf("a second agent: %v", err)
			}
			must(t, a.Close())
			startAgent(t, agentOptions(pins)) // adopts all of it
			same(t, lookUp(t, reader, key).Conn.Dir[flow.RX].Payload, uint64(10))
			same(t, attachedPrograms(t, "lo"), 2)
		})
	}
}

func pinNames(t *testing.T, pins string) string {
	t.Helper()
	return fmt.Sprint(entriesOf(t, pins), entriesOf(t, tablesDir(t, pins)), pinnedLinks(t, pins))
}

func TestCapacitiesChangedMakeNewTables(t *testing.T) {
	inNamespace(t)
	pins := pinFolder(t, true)
	must(t, startAgent(t, agentOptions(pins, onExitKeep)).Close())
	reader := newTestReader(t, pins)
	before := pinInodes(t, pins)
	a := startAgent(t, agentOptions(pins, func(o *Options) { o.Tables.Flows = 2048 }))
	if after := pinInodes(t, pins); slices.Equal(before, after) {
		t.Error("the tables are the old ones")
	}
	same(t, [2]uint32{a.tables.Flows.MaxEntries(), a.tables.UDP.MaxEntries()}, [2]uint32{2048, 1024})
	c, key := dial(t, echo(t, "127.0.0.1:0"))
	call(t, c, "hello")
	same(t, lookUp(t, reader, key).Conn.Dir[flow.RX].Payload, uint64(5))
	if n := attachedPrograms(t, "lo"); n != 2 {
		t.Errorf("%d programs, want 2", n)
	}
}

func TestPinPermissions(t *testing.T) {
	for _, c := range []struct {
		mode      string
		pin, root os.FileMode
	}{{"0600", 0o600, 0o700}, {"0640", 0o640, 0o750}, {"0644", 0o644, 0o755}} {
		t.Run(c.mode, func(t *testing.T) {
			inNamespace(t)
			pins := pinFolder(t, false)
			startAgent(t, agentOptions(pins, func(o *Options) { o.Pins.Mode, o.Pins.Group = c.mode, "4242" }))
			dir := tablesDir(t, pins)
			want := map[string]os.FileMode{pins: c.root, dir: c.root}
			for _, m := range (&tables{}).shared() {
				want[filepath.Join(dir, m.name)] = c.pin
			}
			want[filepath.Join(dir, readPin)] = c.pin
			for path, mode := range want {
				var stat unix.Stat_t
				must(t, unix.Stat(path, &stat))
				if got := os.FileMode(stat.Mode & 0o777); got != mode || stat.Gid != 4242 || stat.Uid != 0 {
					t.Errorf("%s has mode %o, owner %d:%d, want %o 0:4242", path, got, stat.Uid, stat.Gid, mode)
				}
			}
		})
	}
}

func TestPinPermissionsFollowOptions(t *testing.T) {
	inNamespace(t)
	pins := pinFolder(t, true)
	must(t, startAgent(t, agentOptions(pins, onExitKeep)).Close())
	startAgent(t, agentOptions(pins, func(o *Options) { o.Pins.Mode = "0644" }))
	info, err := os.Stat(filepath.Join(tablesDir(t, pins), fivetupleMapFlows))
	must(t, err)
	if info.Mode().Perm() != 0o644 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
}

func TestOldLayoutsAreRemoved(t *testing.T) {
	inNamespace(t)
	pins := pinFolder(t, true)
	old := filepath.Join(pins, "v0000000000000001")
	must(t, os.Mkdir(old, 0o700))
	a := startAgent(t, agentOptions(pins))
	a.removeOldLayouts(t.Context(), 0)
	got := slices.DeleteFunc(entriesOf(t, pins), func(name string) bool { return name == "links" })
	if !slices.Equal(got, []string{filepath.Base(tablesDir(t, pins))}) {
		t.Errorf("left: %v", got)
	}
}

// TestAgentWithTwoCapabilities: without CAP_PERFMON an agent runs, and says once what that costs, where the kernel's
// verifier takes the program; elsewhere the error names that capability.
func TestAgentWithTwoCapabilities(t *testing.T) {
	for _, first := range []string{FirstPayloadKeep, FirstPayloadOff} {
		inNamespace(t)
		pins := pinFolder(t, true)
		out := runChild(t, "agent", pinsEnv+"="+pins, firstEnv+"="+first, fmt.Sprintf("%s=%d", capsEnv, 1<<unix.CAP_BPF|1<<unix.CAP_NET_ADMIN))
		const started = "warn: no capability CAP_PERFMON: each packet costs about twice as much\nstarted 1 program to read: true"
		if out != started && !strings.HasPrefix(out, "error: true missing: capability CAP_PERFMON") {
			t.Errorf("agent with CAP_BPF and CAP_NET_ADMIN, first_payload %s: %s", first, out)
		}
	}
}

func TestMissingCapabilityIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		has            uint64
		missing, there string
	}{
		"without CAP_BPF":       {1 << unix.CAP_NET_ADMIN, "CAP_BPF", "CAP_NET_ADMIN"},
		"without CAP_NET_ADMIN": {1 << unix.CAP_BPF, "CAP_NET_ADMIN", "CAP_BPF"},
	} {
		t.Run(name, func(t *testing.T) {
			inNamespace(t)
			pins := pinFolder(t, true)
			out := runChild(t, "agent", pinsEnv+"="+pins, fmt.Sprintf("%s=%d", capsEnv, c.has))
			named := strings.Contains(out, "capability "+c.missing)
			if !strings.HasPrefix(out, "error: true") || !named || strings.Contains(out, "capability "+c.there) {
				t.Errorf("got %q", out)
			}
			if left := entriesOf(t, pins); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// TestRefusalIsNamed: where a container's seccomp profile refuses bpf(2), or the capabilities are those of a user namespace,
// the error says so and names nothing else.
func TestRefusalIsNamed(t *testing.T) {
	all := fmt.Sprintf("%s=%d", capsEnv, 1<<unix.CAP_BPF|1<<unix.CAP_NET_ADMIN|1<<unix.CAP_PERFMON|1<<unix.CAP_SYS_ADMIN)
	for name, c := range map[string]struct {
		part string
		env  []string
		wrap []string
		says string
	}{
		"agent, seccomp with EPERM":  {"agent", []string{all, refuseEnv + "=1"}, nil, "error: true missing: bpf(2): the seccomp profile of this process refuses it (operation not permitted)"},
		"agent, seccomp with ENOSYS": {"agent", []string{all, refuseEnv + "=38"}, nil, "error: true missing: bpf(2): the seccomp profile of this process refuses it (function not implemented)"},
		"agent in a user namespace":  {"agent", []string{all}, []string{"unshare", "--user", "--map-root-user", "--net"}, "error: true missing: capability CAP_BPF in the host's user namespace"},
		"reader, seccomp with EPERM": {"read", []string{refuseEnv + "=1"}, nil, "bpf(2): the seccomp profile of this process refuses it"},
	} {
		t.Run(name, func(t *testing.T) {
			inNamespace(t)
			pins := pinFolder(t, true)
			if c.part == "read" {
				must(t, startAgent(t, agentOptions(pins, onExitKeep, func(o *Options) { o.Pins.Mode = "0644" })).Close())
			}
			out := runChildIn(t, c.wrap, c.part, append(c.env, pinsEnv+"="+pins)...)
			if !strings.Contains(out, c.says) || strings.Contains(out, "in Linux since") {
				t.Errorf("got %q, want it to say %q", out, c.says)
			}
		})
	}
}
