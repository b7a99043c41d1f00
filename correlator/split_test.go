package correlator_test

import (
	"testing"

	"fivetuple/correlator"
	"fivetuple/correlator/flow"
)

// TestWhatWasSentAgain: a response took a second, and some of its segments went out twice. Only those cost the network time
// that the client did not have already.
func TestWhatWasSentAgain(t *testing.T) {
	const (
		second = 1_000_000_000
		loss   = 6_000_000 // three round trips
	)
	for _, c := range []struct {
		name              string
		again, late       uint32
		duplicates, opens uint16
		waited            uint16 // ms
		lost              uint64
		largest           correlator.Part
	}{
		{name: "nothing", largest: correlator.PartLeaving},
		{name: "lost", again: 3, lost: 3, largest: correlator.PartLeaving},
		{name: "lost, and on their way in another order", again: 2, late: 1, lost: 3, largest: correlator.PartLeaving},
		{name: "lost, after time-outs", again: 2, waited: 600, lost: 2, largest: correlator.PartNetwork},
		{name: "the acknowledgement was lost", again: 1, duplicates: 1, waited: 600, largest: correlator.PartNetwork},
		{name: "all had arrived", again: 140, duplicates: 140, largest: correlator.PartLeaving},
		{name: "all but one had", again: 140, duplicates: 139, lost: 1, largest: correlator.PartLeaving},
		{name: "none had", again: 140, lost: 140, largest: correlator.PartNetwork},
		{name: "more than were sent again", again: 1, duplicates: 3, largest: correlator.PartLeaving},
		{name: "the client had no room", again: 4, opens: 1, waited: 600, largest: correlator.PartLeaving},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScript(t, newModel(modelISN))
			_, last := ended(s)
			s.m.record.Duplicates, s.m.record.Conn.Dir[flow.TX].Retransmitted = 5, 5 // of the call before
			s.m.record.Conn.Dir[flow.TX].Waited = 1<<16 - 1
			s.play(
				rx(100), ask(100, 0, "exchange;n=1 1/100"), tx(500),
				rx(100), ask(100, 0, "exchange;n=2 1/100"), tx(500),
				func(s *script) {
					r := &s.m.record
					s.m.now += second
					r.Duplicates += c.duplicates
					r.Conn.WindowUpdates += c.opens
					r.Conn.Dir[flow.TX].Waited += c.waited
					r.Conn.Dir[flow.TX].Retransmitted += c.again
					r.Conn.Dir[flow.TX].OutOfOrder += c.late
				},
				tx(500),
			)
			s.cor.Flush()
			if d := last.Response.Duplicates; d != uint32(c.duplicates) {
				t.Errorf("%d duplicates, want %d", d, c.duplicates)
			}
			network := c.lost * loss
			if c.opens == 0 {
				network += uint64(c.waited) * 1_000_000
			}
			if got := last.Split; got.Network != network || got.Network+got.Leaving != second+modelStep || got.Largest() != c.largest {
				t.Errorf("%+v, the largest is %s, want %s", got, got.Largest(), c.largest)
			}
		})
	}
}
