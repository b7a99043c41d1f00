package share

import (
	"context"
	"time"

	"fivetuple/correlator/baseline"
	"fivetuple/correlator/store"
)

// tellBaselines tells some of the windows that were closed.
func (s *Share) tellBaselines() {
	if !s.options.Fleet.Baselines {
		return
	}
	for _, p := range s.Baselines.Published(s.atOnce()) {
		s.link.Writer.Set(s.keys.Baseline(s.options.Fleet.Gateway, p.Period, p.Key), p.Value, s.Learning.Kept())
	}
}

// ask reads other gateways' windows of those keys that want them, until the context is done.
func (s *Share) ask(ctx context.Context) {
	if !s.options.Fleet.Baselines {
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !s.link.Counts().Up || !s.peers.refresh(ctx, s.link.Reader, s.options.Fleet.Gateway, s.Learning.Kept()) {
			continue
		}
		for _, w := range s.Baselines.Wants(s.Now()) {
			if err := s.askFor(ctx, w); err != nil {
				s.Log.Debug().Err(err).Str("route", w.Key.Route).Msg("other gateways' baselines are not known yet")
				break // it is asked for again
			}
		}
	}
}

// askFor reads what others have of a key.
func (s *Share) askFor(ctx context.Context, w baseline.Want) error {
	gateways := s.peers.of(w.Key)
	for _, period := range w.Periods {
		peers := make([]baseline.Peer, 0, len(gateways))
		err := each(ctx, s.link.Reader, gateways, func(gateway string) string { return s.keys.Baseline(gateway, period, w.Key) },
			baseline.MaxPublished, func(gateway string, value []byte) {
				peers = append(peers, baseline.Peer{Gateway: gateway, Value: value})
			})
		if err != nil {
			return err
		}
		skipped := s.Baselines.Merge(s.Now(), w.Key, period, peers)
		for why, n := range map[store.Skip]int{
			store.SkipVersion: skipped.Version, store.SkipDamaged: skipped.Damaged, store.SkipWindow: skipped.Window, store.SkipThin: skipped.Thin,
		} {
			for range n {
				s.link.Meter.Skipped(why)
			}
		}
	}
	return nil
}
