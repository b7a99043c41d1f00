package bpf

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"
	"github.com/rs/zerolog"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// tool runs a program of the distribution in this thread's namespace.
func tool(t testing.TB, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		skip(t, name+" is not installed")
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

// detach has bpftool detach our links from the sides of an interface, or tc remove our filters where there is no TCX.
func detach(t testing.TB, name string, from ...side) {
	t.Helper()
	for _, s := range from {
		if !hasTCX(t) {
			tool(t, "tc", "filter", "del", "dev", name, string(s))
			continue
		}
		chain, err := link.QueryPrograms(link.QueryOptions{Target: linkNamed(t, name).Attrs().Index, Attach: attachType(s)})
		must(t, err)
		for _, p := range chain.Programs {
			id, _ := p.LinkID()
			tool(t, "bpftool", "link", "detach", "id", strconv.Itoa(int(id)))
		}
	}
}

func TestDetachedProgramIsAttachedAgain(t *testing.T) {
	here := inNamespace(t)
	pins := pinFolder(t, false)
	runAgent(t, here, startAgent(t, agentOptions(pins)))
	detach(t, "lo", ingress, egress)
	if n := attachedPrograms(t, "lo"); n != 0 {
		t.Fatalf("%d programs after bpftool has detached them", n)
	}
	eventually(t, 2*checkEvery+time.Second, "the programs are back", func() bool { return attachedPrograms(t, "lo") == 2 })
	c, key := dial(t, echo(t, "127.0.0.1:0"))
	call(t, c, "hello")
	same(t, lookUp(t, newTestReader(t, pins), key).Conn.Dir[0].Payload, uint64(5))
}

// TestDetachedAgainAndAgain: somebody who detaches the program every few seconds is not fought, and the log stays short.
func TestDetachedAgainAndAgain(t *testing.T) {
	inNamespace(t)
	var log bytes.Buffer
	o := agentOptions(pinFolder(t, false))
	a, err := Start(o, zerolog.New(&log))
	must(t, err)
	t.Cleanup(func() { _ = a.remove() })
	log.Reset()
	now, attached := a.clock.Now(), 0
	for end := now + uint64(time.Hour); now < end; now += uint64(checkEvery) {
		if attachedPrograms(t, "lo") == 2 {
			detach(t, "lo", egress)
		}
		a.attacher.refresh(now)
		if attachedPrograms(t, "lo") == 2 {
			attached++
		}
	}
	// 3 s, 6, 12, ... up to 5 min, and from then on every 5 min.
	if attached < 16 || attached > 19 {
		t.Errorf("attached again %d times in an hour", attached)
	}
	wantLog(t, &log, "program was detached by another process; attached again",
		"program keeps being detached by another process; attaching again with growing rests, without further log lines")

	now += uint64(maxRest + calm)
	a.attacher.refresh(now)
	log.Reset()
	now += uint64(maxRest + calm)
	detach(t, "lo", ingress, egress)
	a.attacher.refresh(now)
	if n := attachedPrograms(t, "lo"); n != 2 {
		t.Errorf("%d programs: after a calm time the agent does not attach again at once", n)
	}
	wantLog(t, &log, "program was detached by another process; attached again")
}

// wantLog checks the messages that were logged since the last time.
func wantLog(t *testing.T, log *bytes.Buffer, messages ...string) {
	t.Helper()
	var got []string
	for line := range strings.Lines(log.String()) {
		var fields struct{ Message string }
		must(t, json.Unmarshal([]byte(line), &fields))
		got = append(got, fields.Message)
	}
	same(t, fmt.Sprintf("%q", got), fmt.Sprintf("%q", messages))
	log.Reset()
}

// TestClsactInForce: `tc qdisc del` takes our filter with the qdisc, and another filter of the name is not ours.
func TestClsactInForce(t *testing.T) {
	inNamespace(t)
	loaded, lo := clsactTables(t), linkNamed(t, "lo")
	inForce := func(a attachment) bool {
		t.Helper()
		on, _, err := a.InForce()
		must(t, err)
		return on
	}
	both := attachBoth(t, lo, loaded)
	if !inForce(both[0]) || !inForce(both[1]) {
		t.Error("a filter that was just added is not in force")
	}
	tool(t, "tc", "qdisc", "del", "dev", "lo", "clsact")
	if inForce(both[0]) || inForce(both[1]) {
		t.Error("a filter without its qdisc is in force")
	}
	again := attachBoth(t, lo, loaded)
	if !inForce(again[0]) || !inForce(again[1]) {
		t.Error("a filter that was added again is not in force")
	}
	other := clsactTables(t)
	attachBoth(t, lo, other) // of the same name: it takes the place
	if inForce(again[0]) {
		t.Error("the filter of another program is taken for ours")
	}
}

// TestLinksThatChangeWhileListed: a list that the kernel calls inconsistent is read again, and never taken for the end of
// the interfaces that it lacks.
func TestLinksThatChangeWhileListed(t *testing.T) {
	lo := fakeLink(1, 0, "lo", "loopback")
	for _, c := range []struct {
		name   string
		errors []error
		whole  bool
		err    error
	}{
		{"whole at once", nil, true, nil},
		{"interrupted twice", []error{netlink.ErrDumpInterrupted, netlink.ErrDumpInterrupted}, true, nil},
		{"interrupted always", repeat(netlink.ErrDumpInterrupted, listTries), false, nil},
		{"no buffer once", []error{unix.ENOBUFS}, true, nil},
		{"interrupted system call", []error{fmt.Errorf("receive: %w", unix.EINTR)}, true, nil},
		{"no buffer always", repeat(unix.ENOBUFS, listTries), false, unix.ENOBUFS},
		{"refused", []error{unix.EPERM}, false, unix.EPERM},
	} {
		t.Run(c.name, func(t *testing.T) {
			links, whole, err := listLinks(func() ([]netlink.Link, error) {
				if len(c.errors) == 0 {
					return []netlink.Link{lo}, nil
				}
				err := c.errors[0]
				c.errors = c.errors[1:]
				return []netlink.Link{lo}, err
			})
			if whole != c.whole || !errors.Is(err, c.err) || err == nil && len(links) != 1 {
				t.Errorf("%d links, whole %v, error %v; want whole %v, error %v", len(links), whole, err, c.whole, c.err)
			}
		})
	}
}

func repeat(err error, n int) (all []error) {
	for range n {
		all = append(all, err)
	}
	return all
}

// TestInterfacesThatComeAndGo: an agent stays, and watches what there is at the end, while interfaces are made and deleted
// as fast as the kernel can.
func TestInterfacesThatComeAndGo(t *testing.T) {
	t.Parallel()
	here := inNamespace(t)
	pins := pinFolder(t, false)
	for i := range 30 { // the more there are, the longer a list takes
		must(t, netlink.LinkAdd(veth("stay", i)))
	}
	a := startAgent(t, agentOptions(pins, watch("*")))
	ctx, cancel := context.WithCancel(t.Context())
	done := here.start(func() error { return a.Run(ctx) })
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); {
		for i := range 20 {
			must(t, netlink.LinkAdd(veth("churn", i)))
		}
		for i := range 20 {
			must(t, netlink.LinkDel(veth("churn", i)))
		}
		select {
		case err := <-done:
			t.Fatalf("the agent ended: %v", err)
		default:
		}
	}
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "last"}, PeerName: "lastp"}))
	eventually(t, 5*time.Second, "programs on the last interface", func() bool { return attachedPrograms(t, "last") == 2 })
	eventually(t, 5*time.Second, "no link of a deleted interface", func() bool { return len(entriesOf(t, pins+"/links")) == 2*(1+60+2) })
	cancel()
	must(t, <-done)
}

func veth(name string, i int) *netlink.Veth {
	return &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprint(name, i)}, PeerName: fmt.Sprintf("%s%dp", name, i)}
}

// TestHeartbeatWhileAttaching: while an agent attaches to hundreds of interfaces, at its start and later, its records are
// never stale.
func TestHeartbeatWhileAttaching(t *testing.T) {
	t.Parallel()
	here := inNamespace(t)
	const pairs = 100 // an attachment waits for an RCU grace period, about 10 ms
	for i := range pairs {
		must(t, netlink.LinkAdd(veth("a", i)))
	}
	pins := pinFolder(t, true)
	oldest := watchHeartbeat(t, pins)
	a := startAgent(t, agentOptions(pins, watch("*")))
	runAgent(t, here, a)
	for i := range pairs {
		must(t, netlink.LinkAdd(veth("b", i)))
	}
	eventually(t, time.Minute, "all interfaces are watched", func() bool { return len(entriesOf(t, pins+"/links")) == 2*(1+4*pairs) })
	if age := oldest(); age > 3*time.Second {
		t.Errorf("a heartbeat was %v old", age)
	}
}

// watchHeartbeat follows an agent's heartbeat from its first on, and returns a function that tells the oldest one seen.
func watchHeartbeat(t *testing.T, pins string) (oldest func() time.Duration) {
	t.Helper()
	reader := newTestReader(t, pins)
	stop, done := make(chan struct{}), make(chan time.Duration, 1)
	go func() {
		var most time.Duration
		for {
			select {
			case <-stop:
				done <- most
				return
			case <-time.After(10 * time.Millisecond):
			}
			if reader.Refresh() == nil {
				most = max(most, time.Duration(reader.clock.Now()-reader.view.Load().published.Heartbeat))
			}
		}
	}()
	return func() time.Duration {
		close(stop)
		return <-done
	}
}

// TestNoInterfaceLeft: an agent whose last interface beside the loopback goes says so, and exits where it is told to.
func TestNoInterfaceLeft(t *testing.T) {
	inNamespace(t)
	var log bytes.Buffer
	a, err := Start(agentOptions(pinFolder(t, false), watch("*")), zerolog.New(&log))
	must(t, err)
	t.Cleanup(func() { _ = a.remove() })
	at, now := a.attacher, uint64(time.Hour)
	step := func(d time.Duration) {
		now += uint64(d)
		at.refresh(now)
	}
	addVeth(t, newNamespace(t))
	step(time.Second)
	log.Reset()
	must(t, netlink.LinkDel(linkNamed(t, "ft0")))
	step(time.Second)
	step(aloneLimit - time.Second)
	wantLog(t, &log, "interface is gone")
	if at.aloneTooLong(now) {
		t.Error("too long alone before the limit")
	}
	step(time.Second)
	step(time.Second)
	wantLog(t, &log, "no interface but the loopback is left: no call of another host is seen")
	if !at.aloneTooLong(now) {
		t.Error("not alone too long after the limit")
	}
	addVeth(t, newNamespace(t))
	step(time.Second)
	wantLog(t, &log, "interface is watched", "an interface is watched again")
	if at.aloneTooLong(now) {
		t.Error("still alone")
	}
}

// TestExitWithoutInterface runs an agent in a namespace that never had another interface than the loopback.
func TestExitWithoutInterface(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		interfaces []string
		mode       string
		ends       bool
	}{
		"exit":                           {[]string{"*"}, NoInterfaceExit, true},
		"wait":                           {[]string{"*"}, NoInterfaceWait, false},
		"exit, but only lo is asked for": {[]string{"lo"}, NoInterfaceExit, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			here := inNamespace(t)
			a := startAgent(t, agentOptions(pinFolder(t, false), watch(c.interfaces...), func(o *Options) { o.OnNoInterface = c.mode }))
			ctx, cancel := context.WithTimeout(t.Context(), aloneLimit+3*time.Second)
			defer cancel()
			err := <-here.start(func() error { return a.Run(ctx) })
			if errors.Is(err, ErrNoInterface) != c.ends || !c.ends && err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
}
