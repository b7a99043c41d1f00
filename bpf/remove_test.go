package bpf

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"fivetuple/correlator/flow"
)

// TestRemoveLooksAgain: what a packet has come for since the sweep saw it stays.
func TestRemoveLooksAgain(t *testing.T) {
	c := newOpenTalk(t)
	ask := removal{Key: c.tuple.key(flow.TCP), Table: flow.TableFlows, SilentSince: c.now + 1}
	c.at(5000).rxData(0, "GET")
	if gone, err := c.remove(&ask); gone || err != nil || !c.hasFlow() {
		t.Errorf("a record went that had a packet since: %v, %v", gone, err)
	}
	ask.SilentSince = c.now + 1
	if gone, err := c.remove(&ask); !gone || err != nil || c.hasFlow() {
		t.Errorf("the record did not go: %v, %v", gone, err)
	}
	if gone, err := c.remove(&ask); gone || err != nil {
		t.Errorf("it went twice: %v, %v", gone, err)
	}
}

// TestRemoveUnderWriters: records are removed, and their memory used again, while packets of many flows come on all CPUs.
// Each flow has a payload size of its own, so that a record with another's packet shows.
func TestRemoveUnderWriters(t *testing.T) {
	for name, with := range ways() {
		t.Run(name, func(t *testing.T) {
			k, reader := newWay(t, with, midstreamAny)
			const flows, size = 8, 100
			stop, done := make(chan struct{}), make(chan error, flows+1)
			peers := make([]*talk, flows)
			for i := range peers {
				peers[i] = &talk{k.kernel, tuple{k.tuple.local, peerNumber(i)}}
				frame := peers[i].tuple.tcp(flow.RX, segment{flags: ack, seq: 1, ack: 1, payload: text(size + i)})
				go func() { done <- writeUntil(stop, k.Ingress, frame) }()
			}
			go func() { done <- removeUntil(stop, k.tables, peers) }()
			read := 0
			for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); {
				for i, p := range peers {
					var r flow.Record
					err := reader.Lookup(p.tuple.key(flow.TCP), &r)
					if errors.Is(err, flow.ErrNotFound) || errors.Is(err, flow.ErrBusy) {
						continue
					}
					must(t, err)
					if d := r.Conn.Dir[flow.RX]; d.Payload != uint64(size+i)*d.Packets {
						t.Fatalf("flow %d: %d bytes in %d packets of %d", i, d.Payload, d.Packets, size+i)
					}
					read++
				}
			}
			close(stop)
			for range flows + 1 {
				must(t, <-done)
			}
			counts, err := readTableCounts(k.Counts)
			must(t, err)
			if counts[flow.TableFlows].Removed < flows || read == 0 {
				t.Errorf("%d records removed, %d read whole: nothing was tried", counts[flow.TableFlows].Removed, read)
			}
			t.Logf("%d records removed, %d read whole", counts[flow.TableFlows].Removed, read)
		})
	}
}

func removeUntil(stop <-chan struct{}, tables *tables, peers []*talk) error {
	for {
		for _, p := range peers {
			select {
			case <-stop:
				return nil
			default:
			}
			ask := removal{Key: p.tuple.key(flow.TCP), Table: flow.TableFlows, SilentSince: ^uint64(0)}
			if _, err := tables.remove(&ask); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
				return fmt.Errorf("remove: %w", err)
			}
		}
	}
}
