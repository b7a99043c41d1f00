package bpf

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/correlator/flow"
	"fivetuple/examples/lab"
)

// badRoad is what the road does in TestRecordEqualsTCPInfo. The kernel takes a round-trip time at every acknowledgement,
// also at selective ones, the record only at some: what is compared is the road's time, so it must not vary much. And the
// kernel may take one from a time stamp (RFC 7323), which is a millisecond too short at worst.
func badRoad(seed uint64) lab.Impairment {
	return lab.Impairment{
		Seed:     seed,
		DelayMin: 15 * time.Millisecond, DelayMax: 40 * time.Millisecond, Jitter: 0.03,
		Loss:    0.03,
		Reorder: 0.01, HoldMin: time.Millisecond, HoldMax: 10 * time.Millisecond,
	}
}

// How many sessions there are, and how many run at a time: with all at once, waiting for the CPU would be most of the
// round-trip time.
const (
	liveSessions = 200
	liveAtOnce   = 20
)

// TestRecordEqualsTCPInfo: what the record says of the gateway's segments is what the gateway's own kernel says of its
// sockets (tcp(7), TCP_INFO), over a road that loses, delays and reorders packets both ways. FIVETUPLE_SEED repeats what
// the road does.
func TestRecordEqualsTCPInfo(t *testing.T) {
	beforeOthers(t)
	for _, merged := range []bool{false, true} {
		t.Run(fmt.Sprintf("merged=%v", merged), func(t *testing.T) {
			seed := testSeed(t)
			t.Logf("FIVETUPLE_SEED=%d", seed)
			l, road := newBadRoad(t, merged, seed)
			pins := pinFolder(t, false)
			agent := startAgentIn(t, l.Gateway, agentOptions(pins, watch(lab.GatewayFrontInterface)))

			reader := newTestReader(t, pins)
			for try := range tries {
				sessions := planSessions(seed, try)
				late := lateShare(road, func() { runSessions(t, l, sessions) })
				must(t, reader.Refresh())
				records := readRecords(t, reader, sessions)
				compareRetransmissions(t, sessions, records)
				if late > lateMost && try < tries-1 {
					t.Logf("%.2f %% of the packets were late, because this machine is busy: once more", 100*late)
					continue
				}
				compareRoundTrips(t, sessions, records)
				wantMerged(t, agent, merged)
				break
			}
		})
	}
}

// A road that is late on its own account says little of round-trip times: up to so often it is tried again.
const (
	tries    = 3
	lateMost = 0.002 // share of the packets
)

// lateShare returns the share of packets that the road sent late while do ran.
func lateShare(road *lab.Forwarder, do func()) float64 {
	sum := func() (sent, late uint64) {
		there, back := road.Counts()
		return there.Sent + back.Sent, there.Late + back.Late
	}
	sentBefore, lateBefore := sum()
	do()
	sent, late := sum()
	return float64(late-lateBefore) / float64(sent-sentBefore)
}

func testSeed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("FIVETUPLE_SEED")
	if text == "" {
		return rand.Uint64()
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	must(t, err)
	return seed
}

// newBadRoad returns a lab whose client reaches the gateway over a bad road.
func newBadRoad(t *testing.T, merged bool, seed uint64) (*lab.Lab, *lab.Forwarder) {
	t.Helper()
	if missing := lab.Missing(); len(missing) > 0 {
		skip(t, strings.Join(missing, "; "))
	}
	l, err := lab.New(t.Context(), lab.Options{Middle: true, Offloads: merged})
	must(t, err)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	road, err := l.Middle.Forward(t.Context(), lab.MiddleClientInterface, lab.MiddleFrontInterface, badRoad(seed))
	must(t, err)
	t.Cleanup(func() { // t's context has ended by now
		if err := road.Wait(); err != nil {
			t.Error(err)
		}
		there, back := road.Counts()
		t.Logf("road: to the gateway %+v, to the client %+v", there, back)
		if there.Overflow+back.Overflow > 0 {
			t.Error("the road was full")
		}
	})
	return l, road
}

// startAgentIn starts an agent in a namespace; what it has goes with the test.
func startAgentIn(t *testing.T, n *lab.Namespace, o Options) (a *Agent) {
	t.Helper()
	must(t, n.Do(func() (err error) {
		a, err = Start(o, zerolog.New(zerolog.NewTestWriter(t)))
		return err
	}))
	t.Cleanup(func() { must(t, n.Do(a.remove)) })
	return a
}

// wantMerged checks that the program was run once for many segments, or once for each.
func wantMerged(t *testing.T, a *Agent, merged bool) {
	t.Helper()
	reasons, err := readReasons(a.tables.Reasons)
	must(t, err)
	runs := reasons[flow.TX][RecordedFlow] + reasons[flow.TX][RecordedHalfOpen]
	var segments uint64
	var key flow.Key
	var r flow.Record
	for all := a.tables.Flows.Iterate(); all.Next(&key, &r); {
		segments += r.Conn.Dir[flow.TX].Packets
	}
	t.Logf("%d tx segments in %d packets", segments, runs)
	if runs > segments || (runs < segments) != merged {
		t.Errorf("%d packets had %d segments; merged: %v", runs, segments, merged)
	}
}

// runSessions runs all sessions.
func runSessions(t *testing.T, l *lab.Lab, sessions []*session) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server, err := serveSessions(ctx, l.Gateway, sessions)
	must(t, err)
	var wg sync.WaitGroup
	running := make(chan struct{}, liveAtOnce)
	for _, s := range sessions {
		running <- struct{}{}
		wg.Go(func() {
			s.clientErr = s.runClient(ctx, l.Client, server)
			<-running
		})
	}
	wg.Wait()
	server.close()
	for i, s := range sessions {
		if s.clientErr != nil || s.gatewayErr != nil {
			t.Fatalf("session %d: client: %v; gateway: %v", i, s.clientErr, s.gatewayErr)
		}
	}
}

func readRecords(t *testing.T, reader *Reader, sessions []*session) []flow.Record {
	t.Helper()
	records := make([]flow.Record, len(sessions))
	for i, s := range sessions {
		if err := reader.Lookup(s.key, &records[i]); err != nil {
			t.Fatalf("session %d: %v: %v", i, s.key, err)
		}
	}
	return records
}

// compareRetransmissions wants them equal on every connection.
func compareRetransmissions(t *testing.T, sessions []*session, records []flow.Record) {
	t.Helper()
	var sum, lossy, equal int
	for i, s := range sessions {
		tx, want := records[i].Conn.Dir[flow.TX], s.info.Total_retrans
		if tx.Retransmitted == want && tx.OutOfOrder == 0 {
			equal++
		} else {
			t.Errorf("session %d: %d retransmitted and %d out of order, TCP_INFO %d", i, tx.Retransmitted, tx.OutOfOrder, want)
		}
		sum += int(want)
		if want > 0 {
			lossy++
		}
	}
	t.Logf("%d retransmissions on %d of %d connections; equal on %d", sum, lossy, len(sessions), equal)
	if lossy < len(sessions)/4 {
		t.Errorf("only %d connections had retransmissions: the road is too good", lossy)
	}
}

// compareRoundTrips wants the minimum near TCP_INFO's on every connection, the smoothed one on most.
func compareRoundTrips(t *testing.T, sessions []*session, records []flow.Record) {
	t.Helper()
	var minimum, smoothed deviations
	near := 0
	for i, s := range sessions {
		rtt := records[i].RTT
		if !minimum.add(rtt.MinUS, s.info.Min_rtt, 0.05, 50) {
			t.Errorf("session %d: minimum RTT %d us, TCP_INFO %d us", i, rtt.MinUS, s.info.Min_rtt)
		}
		if smoothed.add(rtt.SmoothedUS8/8, s.info.Rtt, 0.15, 200) {
			near++
		}
	}
	t.Logf("minimum RTT:  %v", &minimum)
	t.Logf("smoothed RTT: %v; within 15 %% or 200 us: %d", &smoothed, near)
	if near*100 < 95*len(sessions) {
		t.Errorf("smoothed RTT is near TCP_INFO's on %d of %d connections, want 95 %%", near, len(sessions))
	}
}

// deviations are those of a time from what it should be.
type deviations struct{ relative, absolute []float64 }

// add returns whether the difference is within a share of want, or within a number of microseconds.
func (d *deviations) add(got, want uint32, share, us float64) bool {
	absolute := math.Abs(float64(got) - float64(want))
	d.absolute = append(d.absolute, absolute)
	d.relative = append(d.relative, absolute/float64(want))
	return absolute <= us || absolute <= share*float64(want)
}

func (d *deviations) String() string {
	slices.Sort(d.absolute)
	slices.Sort(d.relative)
	var text []string
	for _, q := range []float64{0.5, 0.9, 0.95, 0.99, 1} {
		at := int(q * float64(len(d.absolute)-1))
		text = append(text, fmt.Sprintf("p%g %.2f %% / %.0f us", q*100, 100*d.relative[at], d.absolute[at]))
	}
	return strings.Join(text, ", ")
}
