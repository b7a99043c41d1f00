package lab

import (
	"fmt"
	"time"
)

// Impairment says what a Forwarder does to the TCP packets of each direction of each connection. What a direction is
// given, and the fate of its nth packet, are drawn from Seed and its addresses and ports only: they are the same in
// every run. The zero value passes every packet on at once.
type Impairment struct {
	Seed uint64
	// DelayMin and DelayMax are the bounds of the base delay, which is drawn once for a direction.
	DelayMin, DelayMax time.Duration
	// Jitter is the most that is added to a packet's delay, as a share of the base delay. It keeps the order.
	Jitter float64
	// Loss is the bound of the share of packets that are lost; the share is drawn once for a direction.
	Loss float64
	// Reorder is the share of packets that are held back, so that others pass.
	Reorder float64
	// HoldMin and HoldMax are the bounds of the time for which a packet is held back, on top of its delay.
	HoldMin, HoldMax time.Duration
}

func (i Impairment) validate() error {
	for _, share := range []struct {
		name string
		is   float64
	}{{"Jitter", i.Jitter}, {"Loss", i.Loss}, {"Reorder", i.Reorder}} {
		if !(share.is >= 0 && share.is <= 1) {
			return fmt.Errorf("check impairment: %s %v is not in 0..1", share.name, share.is)
		}
	}
	if i.DelayMin < 0 || i.DelayMax < i.DelayMin {
		return fmt.Errorf("check impairment: delay %v to %v", i.DelayMin, i.DelayMax)
	}
	if i.HoldMin < 0 || i.HoldMax < i.HoldMin {
		return fmt.Errorf("check impairment: hold %v to %v", i.HoldMin, i.HoldMax)
	}
	return nil
}
