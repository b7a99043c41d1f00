package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"fivetuple/correlator/fleet"
)

const (
	// quotaEvery is how often a server is asked how much memory it uses, and passEvery how often its keys are measured while it uses less
	// than a half of maxmemory; above that they are measured at once.
	quotaEvery = 200 * time.Millisecond
	passEvery  = time.Minute
	// scanAtOnce is how many keys are measured at once.
	scanAtOnce = 1000
	// maxForever is how many bytes of keys without a time to live a member may have before it is cut off. No gateway writes such a key.
	maxForever = 1 << 20
	// trims within trimsFor are how often a member is trimmed to a half of its share before it is cut off: to be above it again so soon
	// takes a flood.
	trims    = 3
	trimsFor = 10 * time.Minute
	// estimated and exact are how many elements of a collection are measured; 0 is all, which holds the server up.
	estimated, exact = 5, 0
)

// Quota keeps each member of a fleet to its share of a server's memory: three quarters of maxmemory, divided by the members that have
// keys there. An ACL holds a member to the names of its keys, and to no number or size of them, and no policy of eviction knows whose a
// key is. While less than a half of maxmemory is used, nothing happens to who writes keys with a time to live.
//
//   - A member above its share is trimmed to a half of it.
//   - A member that was trimmed three times in ten minutes, or has more than 1 MiB of keys without a time to live, is cut off: its user, which
//     has the gateway's name, is switched off until the ACL is loaded anew, its connections are closed, and its keys are removed.
//   - The list of gateways, which all members write, is removed if it takes more than 4 MiB: each gateway is on it again within 5 s.
type Quota struct {
	client redis.UniversalClient
	meter  *Meter
	log    zerolog.Logger

	mu      sync.Mutex
	servers map[string]*quotaServer
}

// quotaServer is what is known of a server.
type quotaServer struct {
	*redis.Client
	log     zerolog.Logger
	passed  time.Time // the last pass
	isExact bool      // the next pass measures all elements
	trimmed map[string][]time.Time
}

// NewQuota returns one for a client with the rights of conf/redis/keeper.acl.
func NewQuota(client redis.UniversalClient, m *Meter, log zerolog.Logger) *Quota {
	return &Quota{client: client, meter: m, log: log, servers: map[string]*quotaServer{}}
}

// Run measures and removes until the context is done.
func (q *Quota) Run(ctx context.Context) {
	q.meter.Survive(ctx, func(ctx context.Context) {
		failed := ""
		for tries := 1; ctx.Err() == nil; {
			next := quotaEvery
			err := q.look(ctx)
			if err != nil {
				next, tries = backoff(tries), tries+1
				if text := errorText(err); text != failed && ctx.Err() == nil {
					failed = text
					q.log.Error().Str("error", text).Msg("failed to measure members of the fleet, retrying")
				}
			} else {
				failed, tries = "", 1
			}
			pause(ctx, next)
		}
	})
}

// look looks at each server once.
func (q *Quota) look(ctx context.Context) error {
	each := func(ctx context.Context, server *redis.Client) error { return q.server(server).look(ctx) }
	if cluster, ok := q.client.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, each)
	}
	return each(ctx, q.client.(*redis.Client))
}

func (q *Quota) server(server *redis.Client) *quotaServer {
	q.mu.Lock()
	defer q.mu.Unlock()
	address := server.Options().Addr
	s := q.servers[address]
	if s == nil {
		s = &quotaServer{trimmed: map[string][]time.Time{}, log: q.log.With().Str("server", address).Logger()}
		q.servers[address] = s
	}
	s.Client = server
	return s
}

func (s *quotaServer) look(ctx context.Context) error {
	used, most, err := s.memory(ctx)
	if err != nil || most == 0 || used < most/2 && time.Since(s.passed) < passEvery {
		return err
	}
	samples := estimated
	if s.isExact {
		samples = exact
	}
	members, err := s.measure(ctx, samples)
	if err != nil {
		return err
	}
	s.passed = time.Now()
	share := most / 4 * 3 / int64(max(len(members), 1))
	acted := false
	for name, m := range members {
		var err error
		switch {
		case m.forever > maxForever:
			err = s.cutOff(ctx, name, m, "keys without a time to live")
		case used < most/2 || m.bytes <= share:
			continue
		case s.isFlood(name):
			err = s.cutOff(ctx, name, m, "above its share again and again")
		default:
			err = s.trim(ctx, name, m, share)
		}
		if acted = true; err != nil {
			return err
		}
	}
	s.isExact = !acted && used > most/4*3 // somebody's collection has elements that differ
	return nil
}

// memory returns how much a server uses, and what it may use; 0: there is no bound.
func (s *quotaServer) memory(ctx context.Context) (used, most int64, err error) {
	text, err := s.Info(ctx, "memory").Result()
	if err != nil {
		return 0, 0, fmt.Errorf("measure: %w", err)
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "used_memory":
			used, _ = strconv.ParseInt(value, 10, 64)
		case "maxmemory":
			most, _ = strconv.ParseInt(value, 10, 64)
		}
	}
	return used, most, nil
}

// member is what a gateway has on a server.
type member struct {
	keys           int
	bytes, forever int64 // of Redis' memory; of keys without a time to live
}

// measured is a key.
type measuredKey struct {
	name      string
	bytes     int64
	isForever bool
}

// measure returns what each gateway has. Keys of others are not looked at; the list of gateways is removed if it is too large.
func (s *quotaServer) measure(ctx context.Context, samples int) (map[string]*member, error) {
	members := map[string]*member{}
	err := s.scan(ctx, "fivetuple:*", samples, func(keys []measuredKey) (bool, error) {
		for _, k := range keys {
			name, ok := fleet.MemberOf(k.name)
			if !ok {
				if fleet.IsList(k.name) && k.bytes > maxListBytes {
					s.log.Warn().Str("key", k.name).Int64("bytes", k.bytes).Msg("list of gateways is removed: it is larger than any fleet's")
					if err := s.Unlink(ctx, k.name).Err(); err != nil {
						return false, err
					}
				}
				continue
			}
			m := members[name]
			if m == nil {
				if len(members) >= MaxGateways {
					continue
				}
				m = new(member)
				members[name] = m
			}
			m.keys++
			m.bytes += k.bytes
			if k.isForever {
				m.forever += k.bytes
			}
		}
		return true, nil
	})
	return members, err
}

// scan hands over the keys of a pattern, some at once, until it is told to stop.
func (s *quotaServer) scan(ctx context.Context, pattern string, samples int, take func(keys []measuredKey) (more bool, err error)) error {
	for cursor := uint64(0); ; {
		names, next, err := s.Scan(ctx, cursor, pattern, scanAtOnce).Result()
		if err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		keys, err := s.sizes(ctx, names, samples)
		if err != nil {
			return fmt.Errorf("measure keys: %w", err)
		}
		if more, err := take(keys); err != nil || !more {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// sizes measures keys; one that is gone meanwhile is left out.
func (s *quotaServer) sizes(ctx context.Context, names []string, samples int) ([]measuredKey, error) {
	if len(names) == 0 {
		return nil, nil
	}
	pipe := s.Pipeline()
	for _, name := range names {
		pipe.MemoryUsage(ctx, name, samples)
		pipe.PTTL(ctx, name)
	}
	cmds, err := pipe.Exec(ctx)
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	keys := make([]measuredKey, 0, len(names))
	for i, name := range names {
		size, left := cmds[2*i].(*redis.IntCmd), cmds[2*i+1].(*redis.DurationCmd)
		if size.Err() == nil && left.Err() == nil {
			keys = append(keys, measuredKey{name, size.Val(), left.Val() == -1})
		}
	}
	return keys, nil
}

// isFlood counts that a member has to be trimmed, and reports whether that was too often.
func (s *quotaServer) isFlood(name string) bool {
	var recent []time.Time
	for _, at := range s.trimmed[name] {
		if time.Since(at) < trimsFor {
			recent = append(recent, at)
		}
	}
	s.trimmed[name] = append(recent, time.Now())
	return len(recent) >= trims
}

// trim removes keys of a member until it has a half of its share.
func (s *quotaServer) trim(ctx context.Context, name string, m *member, share int64) error {
	s.log.Warn().Str("gateway", name).Int64("bytes", m.bytes).Int64("share", share).Int("keys", m.keys).Msg("gateway is above its share of redis' memory: some of its keys are removed")
	return s.remove(ctx, name, m.bytes-share/2, false)
}

// cutOff ends what a member does, and removes its keys.
func (s *quotaServer) cutOff(ctx context.Context, name string, m *member, why string) error {
	s.log.Error().Str("gateway", name).Str("reason", why).Int64("bytes", m.bytes).Int64("forever", m.forever).Int("keys", m.keys).
		Msg("gateway is cut off from redis: its user is off until the ACL is loaded anew (ACL LOAD), and its keys are removed")
	err := errors.Join(s.Do(ctx, "acl", "setuser", name, "off").Err(), s.Do(ctx, "client", "kill", "user", name).Err())
	if err != nil {
		err = fmt.Errorf("cut off %s: %w", name, err)
	}
	return errors.Join(err, s.remove(ctx, name, math.MaxInt64, true))
}

// whoSuffix is the end of the name of the key by which a gateway is there (fleet.Keys.Who): one that misses it writes all of its state anew.
const whoSuffix = ":who"

// remove removes keys of a member until so many bytes are free, all or all but who it is.
func (s *quotaServer) remove(ctx context.Context, name string, bytes int64, all bool) error {
	return s.scan(ctx, "fivetuple:{*}:gw:"+name+":*", estimated, func(keys []measuredKey) (bool, error) {
		var names []string
		for _, k := range keys {
			if of, ok := fleet.MemberOf(k.name); ok && of == name && bytes > 0 && (all || !strings.HasSuffix(k.name, whoSuffix)) {
				names = append(names, k.name)
				bytes -= k.bytes
			}
		}
		if len(names) > 0 {
			if err := s.Unlink(ctx, names...).Err(); err != nil {
				return false, fmt.Errorf("remove keys of %s: %w", name, err)
			}
		}
		return bytes > 0, nil
	})
}
