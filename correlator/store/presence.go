package store

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"fivetuple/correlator/fleet"
)

const (
	// beatEvery is how often a gateway says that it is there, and whoFor how long that holds.
	beatEvery = 5 * time.Second
	whoFor    = 30 * time.Second
	// tidyEvery is how many beats are between two looks at the list for who is there no more.
	tidyEvery = 12
	// greetEvery is how many beats are between two greetings: empty messages, by which the others know that a gateway is there, whatever
	// somebody does to the list. Everybody hears everybody: ten minutes make 1,700 a second of 1,000 gateways.
	greetEvery = 120
	// aheadMost is by how much an entry of the list may lie in the future: more is somebody's who wants to stay on top.
	aheadMost = time.Hour
	// lostEvery is the least time between two times that Lost is told: where keys are evicted, telling all anew would evict more.
	lostEvery = 30 * time.Second
)

// Who says who a gateway is.
type Who struct {
	// Value returns what is written (fleet's who), at most MaxValue bytes; it is called at each beat.
	Value func() []byte
	// IsOurs says whether a value was written by this process.
	IsOurs func(value []byte) bool
}

// Presence says that a gateway is there, every 5 s, and notices what is wrong with what it finds. Of two processes of one gateway, of which one
// takes over from the other, one at a time runs it, but for a beat of each: more, and they take each other for namesakes.
type Presence struct {
	client  redis.UniversalClient
	keys    fleet.Keys
	gateway string
	who     Who
	meter   *Meter
	clock   *Clock
	servers servers
	twin    namesake

	beats   int // that arrived
	lost    chan struct{}
	onLost  func() // does not wait
	isLost  bool
	told    time.Time // when Lost was told last
	reached time.Time // the last beat that arrived

	lostEvery time.Duration
}

func newPresence(client redis.UniversalClient, m *Meter, keys fleet.Keys, gateway string, who Who, c *Clock) *Presence {
	return &Presence{
		client: client, keys: keys, gateway: gateway, who: who, meter: m, clock: c,
		servers: servers{client: client}, lost: make(chan struct{}, 1), onLost: func() {}, lostEvery: lostEvery,
	}
}

// Lost says, by a token, that Redis may have lost what was written: this gateway's own key is gone, or a server answers that did not
// before. At most every 30 s.
func (p *Presence) Lost() <-chan struct{} { return p.lost }

// Run says it until the context is done.
func (p *Presence) Run(ctx context.Context) {
	for tries := 1; ; tries++ {
		next := backoff(tries)
		if err := p.beat(ctx); err == nil {
			next, tries = beatEvery, 0
		}
		if !pause(ctx, next) {
			return
		}
	}
}

// beat says it once.
func (p *Presence) beat(ctx context.Context) error {
	isNew, infoErr := p.servers.isNew(ctx)
	p.isLost = p.isLost || isNew // also if this beat does not arrive
	pipe := p.client.TxPipeline()
	list, now := p.keys.Gateways(), p.clock.Now()
	old := pipe.SetArgs(ctx, p.keys.Who(p.gateway), p.who.Value(), redis.SetArgs{Get: true, TTL: whoFor})
	pipe.ZAdd(ctx, list, redis.Z{Score: float64(now), Member: p.gateway})
	pipe.Expire(ctx, list, MaxTTL)
	if p.beats%tidyEvery == 0 {
		p.tidy(ctx, pipe, now)
	}
	if p.beats%greetEvery == 0 {
		pipe.Publish(ctx, p.keys.Channel(p.gateway), "")
	}
	if err := execute(ctx, pipe); outcomeOf(err) != arrived {
		p.meter.failed(err)
		return fmt.Errorf("say that this gateway is there: %w", err)
	}
	p.meter.answered(infoErr)
	found, _ := old.Result()
	p.look(found)
	return nil
}

// tidy removes from the list who was not there for a day, who never can have been, and who is too much.
func (p *Presence) tidy(ctx context.Context, pipe redis.Pipeliner, now int64) {
	list := p.keys.Gateways()
	score := func(offset time.Duration) string { return "(" + strconv.FormatInt(now+offset.Milliseconds(), 10) }
	pipe.ZRemRangeByScore(ctx, list, "-inf", score(-MaxTTL))
	pipe.ZRemRangeByScore(ctx, list, score(aheadMost), "+inf")
	pipe.ZRemRangeByRank(ctx, list, 0, -MaxGateways-1)
}

// look judges what a beat found.
func (p *Presence) look(found string) {
	now := time.Now()
	isLate := p.beats == 0 || now.Sub(p.reached) >= whoFor // then the key's time was over
	isForeign := found != "" && !p.who.IsOurs([]byte(found))
	isThere, isNews := p.twin.beat(isForeign)
	p.meter.isNamesake.Store(isThere)
	if isNews {
		p.meter.namesakes.Add(1)
	}
	p.isLost = p.isLost || !isLate && found == "" // the list says nothing: any gateway may empty it
	if p.isLost && now.Sub(p.told) >= p.lostEvery {
		p.isLost, p.told = false, now
		p.meter.lost.Add(1)
		signal(p.lost)
		p.onLost()
	}
	p.reached = now
	p.beats = min(p.beats+1, math.MaxInt-1)
}
