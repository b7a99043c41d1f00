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
	keys := make([]string, 0, len(gateways))
	for _, period := range w.Periods {
		keys = keys[:0]
		for _, g := range gateways {
			keys = append(keys, s.keys.Baseline(g, period, w.Key))
		}
		values, err := s.link.Reader.Strings(ctx, keys, baseline.MaxPublished)
		if err != nil {
			return err
		}
		peers := make([]baseline.Peer, 0, len(values))
		for i, v := range values {
			if v != nil {
				peers = append(peers, baseline.Peer{Gateway: gateways[i], Value: v})
			}
		}
		skipped := s.Baselines.Merge(s.Now(), w.Key, period, peers)
		for range skipped.Version {
			s.link.Meter.Skipped(store.SkipVersion)
		}
		for range skipped.Damaged {
			s.link.Meter.Skipped(store.SkipDamaged)
		}
	}
	return nil
}
