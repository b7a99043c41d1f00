package store

import (
	"context"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
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
func commands(ctx context.Context, c *redis.Client) []func() error {
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
		func() error { return c.ClusterSlots(ctx).Err() },
		func() error { return c.ClusterShards(ctx).Err() },
		func() error { return c.Command(ctx).Err() },
		func() error { return sentinel.GetMasterAddrByName(ctx, "mymaster").Err() },
		func() error { return sentinel.Sentinels(ctx, "mymaster").Err() },
		func() error {
			p := c.PSubscribe(ctx, "*")
			defer p.Close()
			for range 3 {
				if _, err := p.ReceiveTimeout(ctx, time.Second); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// TestHostileReplies has the client of go-redis read random replies: to HELLO, by which each connection begins, or to what comes
// after it, in pieces. Nothing ends this process, and little memory is taken.
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
	r, began := replies{rand.New(rand.NewPCG(seed, 0))}, time.Now()
	var text []byte
	var refused, panics int
	var most uint64
	m := &Meter{OnPanic: func(cause, stack string) { t.Logf("caught: %s\n%s", cause, stack) }}
	c := clientOf(func() net.Conn { return countingConn{checked(&canned{text: text, cut: cuts(r.Uint64())}), m} })
	defer c.Close()
	m.Attach(c)
	all := commands(t.Context(), c)
	for i := range n {
		var reply strings.Builder
		if r.IntN(4) > 0 {
			reply.WriteString(noHello)
		}
		for range 1 + r.IntN(4) {
			reply.WriteString(r.value(0))
		}
		text = []byte(reply.String())
		before := uint64(0)
		if i%64 == 0 {
			before = allocated()
		}
		if m.try(func() { _ = all[r.IntN(len(all))]() }) != nil {
			panics++
			t.Logf("%q", text)
		}
		if i%64 == 0 {
			most = max(most, allocated()-before)
		}
	}
	refused = int(m.Counts().Rejected)
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	t.Logf("%v: %d rejected, %d panics caught, of one reply in 64 at most %d KB allocated, %d MB taken from the system",
		time.Since(began).Round(time.Second), refused, m.Counts().Panics, most>>10, stats.Sys>>20)
	if panics > 0 || refused < n/20 || most > maxAllocated || stats.Sys > 512<<20 {
		t.Error("see above")
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
