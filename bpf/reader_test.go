package bpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"fivetuple/correlator/flow"
)

// published is a set of pinned tables without an agent that beats.
type published struct {
	*talk
	pins string
}

// publishTables pins the tables of a loaded program, as an agent does, with a heartbeat of now.
func publishTables(t testing.TB, root, mode, group string, set ...func(*Options)) *published {
	t.Helper()
	c := newTalk(t, set...)
	p, err := openPins(PinOptions{Path: root, Mode: mode, Group: group})
	must(t, err)
	t.Cleanup(func() { _ = p.Close() })
	must(t, p.mkdir(tablesDir(t, root)))
	must(t, c.publish(p, tablesDir(t, root), freshMeta(t)))
	must(t, c.publishRead(p, tablesDir(t, root)))
	return &published{c, root}
}

func freshMeta(t testing.TB) *flow.Meta {
	t.Helper()
	hash, err := Layout()
	must(t, err)
	clock, err := NewClock()
	must(t, err)
	return &flow.Meta{Layout: hash, Heartbeat: clock.Now(), Capacity: testOptions().Tables.capacities()}
}

func newPublished(t testing.TB, set ...func(*Options)) *published {
	t.Helper()
	return publishTables(t, pinFolder(t, true), "0640", "", set...)
}

func (p *published) readPin() string { return filepath.Join(tablesDir(p.t, p.pins), readPin) }

// ways are how a reader reads: by the pinned program, or by two copies, as where an older agent has pinned none.
func ways() map[string]bool { return map[string]bool{"program": true, "two copies": false} }

// newWay publishes tables, and returns a reader that reads them with the program or without.
func newWay(t *testing.T, program bool, set ...func(*Options)) (*published, *Reader) {
	t.Helper()
	p := newPublished(t, set...)
	if !program {
		must(t, os.Remove(p.readPin()))
	}
	r := newTestReader(t, p.pins)
	wantProgram(t, r, program)
	return p, r
}

// wantProgram checks by which way a reader reads.
func wantProgram(t testing.TB, r *Reader, want bool) {
	t.Helper()
	must(t, r.Refresh())
	if got := r.view.Load().read != nil; got != want {
		t.Fatalf("records are read by the program: %v, want %v", got, want)
	}
}

func TestReaderFindsRecord(t *testing.T) {
	for name, with := range ways() {
		t.Run(name, func(t *testing.T) {
			p, r := newWay(t, with)
			p.open(peerISN, hostISN)
			got := lookUp(t, r, p.tuple.key(flow.TCP))
			got.Conn.Lock, got.Conn.Tag = 0, 0
			same(t, got, p.flow())
		})
	}
}

func TestReaderNotFound(t *testing.T) {
	for name, with := range ways() {
		t.Run(name, func(t *testing.T) {
			p, r := newWay(t, with)
			var record flow.Record
			if err := r.Lookup(p.tuple.key(flow.TCP), &record); !errors.Is(err, flow.ErrNotFound) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestReaderHasUDP(t *testing.T) {
	p := newPublished(t)
	r := newTestReader(t, p.pins)
	key := p.tuple.key(flow.TCP) // whatever the protocol
	if r.HasUDP(key) {
		t.Error("found before it was there")
	}
	p.want(RecordedUDP, flow.RX, p.tuple.udp(flow.RX, "?"))
	if !r.HasUDP(key) {
		t.Error("not found")
	}
}

func TestReaderWithoutTables(t *testing.T) {
	for _, root := range []string{"/nowhere/at/all", t.TempDir()} {
		r := newTestReader(t, root)
		var record flow.Record
		if err := r.Lookup(tuple4.key(flow.TCP), &record); !errors.Is(err, flow.ErrNoTable) || r.HasUDP(flow.Key{}) {
			t.Errorf("%s: got %v", root, err)
		}
		if s := r.State(); !errors.Is(s.Err, flow.ErrNoTable) || s.Meta != (flow.Meta{}) || s.Age != 0 {
			t.Errorf("%s: %+v", root, s)
		}
	}
}

func TestReaderForeignLayoutFolder(t *testing.T) {
	root := t.TempDir()
	must(t, os.Mkdir(filepath.Join(root, "v0123456789abcdef"), 0o700))
	err := newTestReader(t, root).Refresh()
	if !errors.Is(err, flow.ErrLayout) || !strings.Contains(err.Error(), "v0123456789abcdef") {
		t.Errorf("got %v", err)
	}
}

func TestReaderForeignLayoutInMeta(t *testing.T) {
	p := newPublished(t)
	r := newTestReader(t, p.pins)
	meta := freshMeta(t)
	meta.Layout++
	must(t, p.writeMeta(meta))
	if err := r.Refresh(); !errors.Is(err, flow.ErrLayout) {
		t.Errorf("got %v", err)
	}
	meta.Layout--
	must(t, p.writeMeta(meta))
	must(t, r.Refresh())
}

func TestReaderStale(t *testing.T) {
	p := newPublished(t)
	clock, err := NewClock()
	must(t, err)
	r, err := NewReader(p.pins, time.Second, clock)
	must(t, err)
	meta := freshMeta(t)
	meta.Heartbeat -= uint64(2 * time.Second)
	meta.Interfaces = 3
	must(t, p.writeMeta(meta))
	if err := r.Refresh(); !errors.Is(err, flow.ErrStale) {
		t.Errorf("two seconds old: %v", err)
	}
	if s := r.State(); !errors.Is(s.Err, flow.ErrStale) || s.Age < 2*time.Second || s.Age > 10*time.Second || s.Meta.Interfaces != 3 {
		t.Errorf("two seconds old: %+v", s)
	}
	must(t, p.writeMeta(freshMeta(t)))
	if err := r.Refresh(); err != nil {
		t.Errorf("fresh again: %v", err)
	}
	if s := r.State(); s.Err != nil || s.Age < 0 || s.Age > time.Second || s.Meta.Layout == 0 {
		t.Errorf("fresh again: %+v", s)
	}
	meta.Heartbeat = clock.Now() + uint64(time.Hour) // read before the agent's clock is: not stale
	must(t, p.writeMeta(meta))
	must(t, r.Refresh())
}

func TestReaderBusy(t *testing.T) {
	for name, with := range ways() {
		t.Run(name, func(t *testing.T) {
			p, r := newWay(t, with)
			p.open(peerISN, hostISN)
			release := p.hold()
			var record flow.Record
			if err := r.Lookup(p.tuple.key(flow.TCP), &record); !errors.Is(err, flow.ErrBusy) {
				t.Errorf("got %v", err)
			}
			release()
			must(t, r.Lookup(p.tuple.key(flow.TCP), &record))
		})
	}
}

func TestReaderFindsTablesThatComeLater(t *testing.T) {
	root := pinFolder(t, true)
	r := newTestReader(t, root)
	ctx := t.Context()
	go r.Run(ctx)
	publishTables(t, root, "0640", "")
	var record flow.Record
	eventually(t, 3*refreshEvery, "tables are found", func() bool {
		return errors.Is(r.Lookup(tuple4.key(flow.TCP), &record), flow.ErrNotFound)
	})
}

// TestReaderFollowsReplacedTables replaces one table at a time, as an agent does whose capacities have changed.
func TestReaderFollowsReplacedTables(t *testing.T) {
	for _, m := range (&tables{}).shared() {
		name := m.name
		t.Run(name, func(t *testing.T) {
			p := newPublished(t)
			r := newTestReader(t, p.pins)
			path := filepath.Join(tablesDir(t, p.pins), name)
			fresh := newTalk(t)
			must(t, os.Remove(path))
			must(t, fresh.writeMeta(freshMeta(t)))
			for now, m := range map[string]*ebpf.Map{
				fivetupleMapMeta: fresh.Meta, fivetupleMapReasons: fresh.Reasons, fivetupleMapUdp: fresh.UDP,
				fivetupleMapHalfOpen: fresh.HalfOpen, fivetupleMapFlows: fresh.Flows,
			} {
				if now == name {
					must(t, m.Pin(path))
				}
			}
			must(t, r.Refresh())
			wantFollowed(t, r, name, p.talk, fresh)
		})
	}
}

// wantFollowed checks that what is new in the replaced table is found.
func wantFollowed(t *testing.T, r *Reader, name string, old, fresh *talk) {
	t.Helper()
	key := old.tuple.key(flow.TCP)
	switch name {
	case fivetupleMapFlows:
		fresh.open(peerISN, hostISN)
		lookUp(t, r, key)
	case fivetupleMapUdp:
		fresh.want(RecordedUDP, flow.RX, fresh.tuple.udp(flow.RX, "?"))
		if !r.HasUDP(key) {
			t.Error("the new table's UDP flow is not found")
		}
	case fivetupleMapMeta:
		meta := freshMeta(t)
		meta.Layout++
		must(t, fresh.writeMeta(meta))
		if err := r.Refresh(); !errors.Is(err, flow.ErrLayout) {
			t.Errorf("the new meta table is not read: %v", err)
		}
	}
}

func TestReaderAfterTheAgentHasGone(t *testing.T) {
	inNamespace(t)
	pins := pinFolder(t, true)
	a := startAgent(t, agentOptions(pins))
	r := newTestReader(t, pins)
	must(t, r.Refresh())
	must(t, a.Close())
	if err := r.Refresh(); !errors.Is(err, flow.ErrNoTable) {
		t.Errorf("got %v", err)
	}
}

func TestUnprivilegedReader(t *testing.T) {
	for _, c := range []struct {
		name, mode, group, ownGroup, want string
	}{
		{"every user", "0644", "", "", "found by the program"},
		{"its group", "0640", "4242", "4242", "found by the program"},
		{"another group", "0640", "4242", "", "permission denied"},
		{"nobody but the agent", "0600", "", "", "permission denied"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := publishTables(t, pinFolder(t, true), c.mode, c.group)
			p.open(peerISN, hostISN)
			out := runChild(t, "read", pinsEnv+"="+p.pins, groupEnv+"="+c.ownGroup)
			if !strings.Contains(out, c.want) {
				t.Errorf("got %q, want %q", out, c.want)
			}
			if !strings.HasPrefix(c.want, "found") && !strings.Contains(out, flow.ErrNoTable.Error()) {
				t.Errorf("got %q, want it to say what may be wrong", out)
			}
		})
	}
}

func TestUnprivilegedWriterIsRefused(t *testing.T) {
	p := publishTables(t, pinFolder(t, true), "0644", "")
	p.open(peerISN, hostISN)
	if out := runChild(t, "write", pinsEnv+"="+p.pins); out != "open: true\nupdate: true\ndelete: true" {
		t.Errorf("got %q", out)
	}
	if !p.hasFlow() {
		t.Error("the record is gone")
	}
}

// TestReaderNeverTears: writers on all CPUs count on one record, as many on either side, while a reader checks what holds
// between two segments only. It can prove a fault, not that there is none.
func TestReaderNeverTears(t *testing.T) {
	for name, with := range ways() {
		t.Run(name, func(t *testing.T) {
			p, r := newWay(t, with)
			p.open(peerISN, hostISN)
			stop := make(chan struct{})
			writers := 2 * runtime.NumCPU()
			done := make(chan error, writers)
			for i := range writers {
				dir, program := i%2, []*ebpf.Program{p.Ingress, p.Egress}[i%2]
				go func() {
					done <- writeUntil(stop, program, p.tuple.tcp(dir, segment{flags: ack, seq: 1, payload: text(100)}))
				}()
			}
			var record flow.Record
			busy, reads := 0, 0
			for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); reads++ {
				err := r.Lookup(p.tuple.key(flow.TCP), &record)
				if errors.Is(err, flow.ErrBusy) {
					busy++
					continue
				}
				must(t, err)
				if torn := tornAt(&record); torn != "" {
					t.Fatalf("torn after %d reads: %s", reads, torn)
				}
			}
			close(stop)
			for range writers {
				must(t, <-done)
			}
			if busy == reads {
				t.Error("every read found the record busy")
			}
			t.Logf("%d reads, %d of them busy, none torn", reads, busy)
		})
	}
}

func writeUntil(stop <-chan struct{}, program *ebpf.Program, frame []byte) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		if _, err := program.Run(&ebpf.RunOptions{Data: frame, Repeat: 200}); err != nil {
			return err
		}
	}
}

// tornAt says what of a record cannot be so between two segments of 100 bytes behind 40 of headers.
func tornAt(r *flow.Record) string {
	for dir, d := range r.Conn.Dir {
		// Late segments, which are folded in without their number of data packets, are in all three.
		packets := d.Packets - []uint64{2, 1}[dir]
		if d.Payload != 100*packets || d.Bytes != 100*packets+40*d.Packets || d.DataHeaders != 40*d.DataPackets {
			return fmt.Sprintf("direction %d: %+v", dir, d)
		}
	}
	return ""
}

// TestNewGenerationIsNeverTorn: the record of one generation is written over that of another while it is read.
func TestNewGenerationIsNeverTorn(t *testing.T) {
	for name, with := range ways() {
		t.Run(name, func(t *testing.T) {
			p, r := newWay(t, with)
			p.open(peerISN, hostISN)
			stop, done := make(chan struct{}), make(chan error, 1)
			go func() { done <- reopenUntil(stop, p.tables, p.tuple) }()
			var record flow.Record
			for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
				if err := r.Lookup(p.tuple.key(flow.TCP), &record); err != nil {
					if !errors.Is(err, flow.ErrBusy) {
						t.Fatal(err)
					}
					continue
				}
				rx, tx := record.Conn.Dir[flow.RX], record.Conn.Dir[flow.TX]
				if record.Conn.ID == 0 || rx.ISN+(hostISN-peerISN) != tx.ISN || rx.AckHigh != tx.ISN+1 || rx.Packets < 2 {
					t.Fatalf("torn: %+v", record.Conn)
				}
			}
			close(stop)
			must(t, <-done)
		})
	}
}

// TestNewGenerationKeepsTheLock: another CPU counts on the record while it is filled in anew. If the lock word were even
// for a moment on the way, two would hold it, and it would stay odd in the end.
func TestNewGenerationKeepsTheLock(t *testing.T) {
	c := newOpenTalk(t)
	stop, done := make(chan struct{}), make(chan error, 2)
	go func() { done <- reopenUntil(stop, c.tables, c.tuple) }()
	go func() {
		done <- writeUntil(stop, c.Egress, c.tuple.tcp(flow.TX, segment{flags: ack, seq: 1, payload: text(100)}))
	}()
	time.Sleep(300 * time.Millisecond) // how long they have to meet
	close(stop)
	must(t, errors.Join(<-done, <-done))
	c.flow() // checks the lock word
	if c.halfOpen(); t.Failed() {
		t.Log(c.reasons()) // a few are contended where a hypervisor stops a CPU
	}
}

func reopenUntil(stop <-chan struct{}, loaded *tables, tu tuple) error {
	for isn := uint32(10_000); ; isn += 10_000 {
		host := isn + hostISN - peerISN
		for _, s := range []struct {
			dir     int
			segment segment
		}{
			{flow.RX, segment{flags: syn, seq: isn}},
			{flow.TX, segment{flags: syn | ack, seq: host, ack: isn + 1}},
			{flow.RX, segment{flags: ack, seq: isn + 1, ack: host + 1}},
		} {
			program := []*ebpf.Program{loaded.Ingress, loaded.Egress}[s.dir]
			context := skb{Tstamp: uint64(isn)}
			if _, err := program.Run(&ebpf.RunOptions{Data: tu.tcp(s.dir, s.segment), Context: &context}); err != nil {
				return err
			}
		}
		select {
		case <-stop:
			return nil
		default:
		}
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	for name, with := range ways() {
		t.Run(name, func(t *testing.T) {
			p, r := newWay(t, with)
			p.open(peerISN, hostISN)
			var record flow.Record
			key := p.tuple.key(flow.TCP)
			if n := testing.AllocsPerRun(1000, func() { must(t, r.Lookup(key, &record)) }); n != 0 {
				t.Errorf("a look-up allocates %v times", n)
			}
			key.RemotePort++
			if n := testing.AllocsPerRun(1000, func() { _ = r.Lookup(key, &record) }); n != 0 {
				t.Errorf("a look-up that finds nothing allocates %v times", n)
			}
		})
	}
}
