package store

import (
	"context"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
)

// hostileReplies is how many replies are tried; FIVETUPLE_REPLIES gives another number.
const hostileReplies = 3000

// replies makes hostile replies.
type replies struct{ *rand.Rand }

// length is a length that is right now and then, for n bytes or elements.
func (r replies) length(n int) string {
	switch r.IntN(12) {
	case 0:
		return strconv.FormatInt(r.Int64(), 10)
	case 1:
		return strconv.FormatInt(-r.Int64N(1<<r.IntN(40)), 10)
	case 2:
		return strconv.Itoa(1 << r.IntN(32))
	case 3:
		return []string{"", "?", "-0", "+1", "00", "9223372036854775807", "9000000000000000000", "18446744073709551616", "1e9", "\x00"}[r.IntN(10)]
	case 4:
		return strconv.Itoa(n + r.IntN(5) - 2)
	}
	return strconv.Itoa(n)
}

func (r replies) text() string {
	return []string{
		"", "OK", "PONG", "message", "pmessage", "psubscribe", "subscribe", "1-0", "1764000000000-0", "e", "fivetuple:{f}:gw:a", "127.0.0.1", "6379", "1", "-1", "nan", "inf",
		"master", "slots", "nodes", "redis_version:7.0.15\r\nrun_id:x", "MOVED 1 127.0.0.1:1", "ASK 1 127.0.0.1:1", "id", "port", "ip", "name", strings.Repeat("9", 30), "\x1b[2J", "a\r\nb",
	}[r.IntN(30)]
}

// value is a value with others in it.
func (r replies) value(depth int) string {
	kind := "$$$$***+-:_#,(!=~%>|x"[r.IntN(21)]
	switch kind {
	case '*', '~', '>', '%', '|':
		if depth > 5 {
			return strings.Repeat(string(kind)+"1\r\n", 1<<r.IntN(12))
		}
		n := r.IntN(6)
		var elements strings.Builder
		for range n {
			elements.WriteString(r.value(depth + 1))
			if kind == '%' || kind == '|' {
				elements.WriteString(r.value(depth + 1))
			}
		}
		return string(kind) + r.length(n) + "\r\n" + elements.String()
	case '$', '!', '=':
		text := r.text()
		if r.IntN(8) == 0 {
			return string(kind) + "-1\r\n"
		}
		return string(kind) + r.length(len(text)) + "\r\n" + text + "\r\n"
	case ':':
		return ":" + r.length(r.IntN(100)) + "\r\n"
	}
	return string(kind) + strings.ReplaceAll(r.text(), "\r\n", " ") + "\r\n"
}

// commands are all that are sent, to servers, nodes and Sentinels.
func commands(ctx context.Context, c *redis.Client, m *Meter) []func() error {
	subscriber := newSubscriber(c, m, keysOf("f"), "a", new(roster))
	sentinel := redis.NewSentinelClient(c.Options())
	pipelined := func(add func(p redis.Pipeliner)) func() error {
		return func() error {
			_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error { add(p); return nil })
			return err
		}
	}
	return []func() error{
		func() error { return c.Ping(ctx).Err() },
		func() error { return c.Info(ctx, "server").Err() },
		func() error { return c.Time(ctx).Err() },
		pipelined(func(p redis.Pipeliner) {
			p.GetRange(ctx, "k", 0, 9)
			p.StrLen(ctx, "k")
			p.MemoryUsage(ctx, "k", 0)
			p.ZCard(ctx, "k")
		}),
		pipelined(func(p redis.Pipeliner) { p.HGetAll(ctx, "k") }),
		pipelined(func(p redis.Pipeliner) { p.XRangeN(ctx, "k", "-", "+", 10) }),
		pipelined(func(p redis.Pipeliner) { p.ZRevRangeWithScores(ctx, "k", 0, -1) }),
		pipelined(func(p redis.Pipeliner) { _ = p.Process(ctx, redis.NewStatusCmd(ctx, "set", "k", "v")) }),
		func() error {
			_, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
				p.SetArgs(ctx, "k", "v", redis.SetArgs{Get: true, TTL: time.Minute})
				p.ZAdd(ctx, "k", redis.Z{Member: "a"})
				return nil
			})
			return err
		},
		func() error { return c.PubSubChannels(ctx, "*").Err() },
		func() error { return c.ClusterSlots(ctx).Err() }, //nolint:staticcheck // which go-redis sends to a Cluster
		func() error { return c.ClusterShards(ctx).Err() },
		func() error { return c.Command(ctx).Err() },
		func() error { return sentinel.GetMasterAddrByName(ctx, "mymaster").Err() },
		func() error { return sentinel.Sentinels(ctx, "mymaster").Err() },
		func() error {
			p := c.PSubscribe(ctx, "*")
			defer p.Close()
			for range 3 {
				if _, err := subscriber.receive(ctx, p); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// hostile reads random replies by clients of its own.
type hostile struct {
	replies
	text    []byte // the next reply
	meter   *Meter
	all     []func() error
	cluster func() // a command by a new client of a Cluster, which reads in goroutines of go-redis'
}

func newHostile(t *testing.T, seed, worker uint64, m *Meter) *hostile {
	t.Helper()
	h := &hostile{replies: replies{rand.New(rand.NewPCG(seed, worker))}, meter: m}
	dial := func() net.Conn { return countingConn{checked(&canned{text: h.text, cut: cuts(seed)}), m} }
	c := clientOf(dial)
	t.Cleanup(func() { _ = c.Close() })
	m.Attach(c)
	h.all = commands(t.Context(), c, m)
	h.cluster = func() {
		o, text := c.Options(), h.text // which goroutines of the client may use for longer
		cluster := redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: []string{o.Addr}, Protocol: 2, DisableIdentity: true, MaxRetries: -1, MaxRedirects: -1, DialerRetries: 1, PoolSize: 1, ReadBufferSize: 512, WriteBufferSize: 512,
			Dialer: func(context.Context, string, string) (net.Conn, error) {
				return countingConn{checked(&canned{text: text, cut: cuts(seed)}), m}, nil
			},
			MaintNotificationsConfig: o.MaintNotificationsConfig,
		})
		defer cluster.Close()
		m.Attach(cluster)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _ = (&servers{client: cluster}).isNew(ctx)
		_, _ = cluster.Pipelined(ctx, func(p redis.Pipeliner) error { p.Get(ctx, "a"); p.Get(ctx, "b"); return nil })
	}
	return h
}

// once reads one reply: to HELLO, by which each connection begins, or to what comes after it.
func (h *hostile) once() error {
	var reply strings.Builder
	if h.IntN(4) > 0 {
		reply.WriteString(noHello)
	}
	for range 1 + h.IntN(4) {
		reply.WriteString(h.value(0))
	}
	h.text = []byte(reply.String())
	if h.IntN(64) == 0 {
		return h.meter.try(h.cluster)
	}
	return h.meter.try(func() { _ = h.all[h.IntN(len(h.all))]() })
}

// TestHostileReplies has the clients of go-redis read random replies, in pieces. Nothing ends this process, no panic leaves a command, and
// little memory is taken.
func TestHostileReplies(t *testing.T) {
	n, seed := hostileReplies, uint64(1)
	if text := os.Getenv("FIVETUPLE_REPLIES"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("%d replies, seed %d", n, seed)
	redis.SetLogger(newLogger(zerolog.Nop(), &secrets{}))
	m, began := &Meter{OnPanic: func(cause, stack string) { t.Logf("caught: %s\n%s", cause, stack) }}, time.Now()
	const workers = 16
	var working sync.WaitGroup
	for worker := range uint64(workers) {
		h := newHostile(t, seed, worker, m)
		working.Go(func() {
			for range n / workers {
				if err := h.once(); err != nil {
					t.Errorf("%v in the course of %q", err, h.text)
				}
			}
		})
	}
	working.Wait()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	c := m.Counts()
	t.Logf("%v: %d rejected, %d panics caught, %d MB taken from the system", time.Since(began).Round(time.Second), c.Rejected, c.Panics, stats.Sys>>20)
	if c.Rejected < uint64(n/10) || stats.Sys > 512<<20 {
		t.Error("too few are rejected, or too much memory is taken")
	}
}

// TestAPanicIsAnError: what panics in the course of a command is its error, and a part that panics goes on.
func TestAPanicIsAnError(t *testing.T) {
	told := ""
	m := &Meter{OnPanic: func(cause, stack string) { told = cause + "\n" + stack }}
	c := redis.NewClient(&redis.Options{MaxRetries: -1, DialerRetries: 1, Dialer: func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }})
	defer c.Close()
	m.Attach(c)
	c.AddHook(panics{})
	if err := c.Get(t.Context(), "k").Err(); err == nil || err.Error() != "panic: of a test" {
		t.Errorf("a command: %v", err)
	}
	cmds, err := c.Pipelined(t.Context(), func(p redis.Pipeliner) error { p.Get(t.Context(), "a"); p.Get(t.Context(), "b"); return nil })
	if err == nil || cmds[0].Err() == nil || cmds[1].Err() == nil {
		t.Errorf("a pipeline: %v, %v", err, cmds)
	}
	runs := 0
	m.Survive(t.Context(), func(context.Context) {
		if runs++; runs < 2 {
			panic("of a part")
		}
	})
	if n := m.Counts(); n.Panics != 3 || runs != 2 || n.LastError != "panic: of a part" || !strings.HasPrefix(told, "panic: of a test\n") || !strings.Contains(told, "hostile_test.go") {
		t.Errorf("%+v, %d runs, told %q", n, runs, told)
	}
}

type panics struct{ redis.Hook }

func (panics) DialHook(next redis.DialHook) redis.DialHook { return next }

func (panics) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(context.Context, redis.Cmder) error { panic("of a test") }
}

func (panics) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(context.Context, []redis.Cmder) error { panic("of a test") }
}
