package fleet

import "time"

const (
	// askEvery is how often the list of a gateway that was missed is asked for at most, askAtOnce how many at a time.
	askEvery  = uint64(time.Second)
	askAtOnce = 64
)

// Missed notes that something that a gateway has published was not heard.
func (b *Board) Missed(gateway string, now uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if gateway == b.options.Gateway || b.isOff() || ValidName(gateway) != nil {
		return
	}
	if p := b.peer(gateway, now); p != nil {
		b.miss(p)
	}
}

func (b *Board) miss(p *peer) {
	if !p.isBehind {
		p.isBehind = true
		b.counts.Missed++
	}
}

// Behind returns gateways whose changes were missed: their lists are to be read, and heard. Each is named once a
// second until then, at most 64 at a time.
func (b *Board) Behind(now uint64) (gateways []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, p := range b.peers {
		if len(gateways) == askAtOnce {
			break
		}
		if p.isBehind && now >= p.asked {
			p.asked = now + askEvery
			gateways = append(gateways, name)
		}
	}
	return gateways
}
