package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// clientOf returns a client of go-redis, whose connections are made by a function; it says no HELLO that matters.
func clientOf(dial func() net.Conn) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: "192.0.2.1:6379", Protocol: 2, DisableIdentity: true, MaxRetries: -1, DialerRetries: 1, PoolSize: 1, ReadBufferSize: 512, WriteBufferSize: 512,
		Dialer:                   func(context.Context, string, string) (net.Conn, error) { return dial(), nil },
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// noHello is the answer to HELLO of a server that does not know it.
const noHello = "-ERR unknown command\r\n"

// answered is what go-redis makes of a reply.
func answered(t *testing.T, conn net.Conn) (value string, err error) {
	t.Helper()
	c := clientOf(func() net.Conn { return conn })
	defer c.Close()
	got, err := c.Do(t.Context(), "x").Result()
	return fmt.Sprintf("%T %v", got, got), err
}

// allocated is how many bytes were allocated so far.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// maxAllocated is what one answer may make go-redis allocate, beside its own length: the elements that it announces, the longest string,
// and a client's own.
const maxAllocated = maxElements*200 + 2*maxBulk + 4<<20

// isBound is whether a reply is RESP, and beyond the bounds.
func isBound(err error) bool {
	return strings.Contains(err.Error(), " at most ") || strings.Contains(err.Error(), " of more than ")
}

// FuzzReply has any bytes for replies. Whatever cuts them, the same is forwarded, byte by byte, and the same rejected. What is rejected
// takes no memory; what is not RESP is rejected by go-redis, too, and what is neither go-redis reads as it reads it without the checks.
func FuzzReply(f *testing.F) {
	for _, text := range []string{
		"+OK\r\n", "-ERR no\r\n", ":12\r\n", "$-1\r\n", "$3\r\nfoo\r\n", "*-1\r\n", "*2\r\n$1\r\na\r\n*1\r\n:1\r\n", "_\r\n", "#t\r\n", ",1.5\r\n", "(12\r\n",
		"!5\r\nERR x\r\n", "=5\r\ntxt:x\r\n", "~1\r\n+a\r\n", "%1\r\n+a\r\n:1\r\n", ">2\r\n+message\r\n+a\r\n", "|1\r\n+a\r\n+b\r\n:1\r\n",
		"$9000000000000000000\r\n", "%2147483647\r\n", "$2147483000\r\n", "$+3\r\nfoo\r\n", "*1\r\n*1\r\n*1\r\n", "+a\n", "\r\n", "$3\r\nfooxx:1\r\n", "*262143\r\n", "$1048576\r\nx",
	} {
		f.Add([]byte(text), uint64(len(text)))
	}
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		if strings.Contains(string(text), "|") {
			return // an attribute, which go-redis would read
		}
		hello := []byte(noHello)
		all := append(hello, text...)
		// Without a write between the two, HELLO's error is one element of the same answer.
		good, want := new(framing).follow(all)
		forwarded, err := read(all, cuts(seed))
		if forwarded != string(all[:len(forwarded)]) || (want == nil) != (err == nil) || want == nil && len(forwarded) != len(all) ||
			want != nil && (len(forwarded) != good || !strings.HasSuffix(err.Error(), want.Error())) {
			t.Fatalf("in pieces %d of %d bytes are forwarded, %v; at once %d, %v", len(forwarded), len(all), err, good, want)
		}
		before := allocated()
		value, err := answered(t, checked(&canned{text: all, cut: cuts(seed)}))
		if n := allocated() - before; n > maxAllocated+4*uint64(len(all)) {
			t.Errorf("%d bytes are allocated for %d, at most %d", n, len(all), uint64(maxAllocated))
		}
		if want != nil && isBound(want) {
			return
		}
		plain, plainErr := answered(t, &canned{text: all, cut: whole})
		isSame := plain == value || plainErr != nil || strings.Contains(plain, fmt.Sprint(math.NaN()))
		if !isSame || (plainErr == nil) != (err == nil) || !errors.Is(err, ErrReply) && fmt.Sprint(plainErr) != fmt.Sprint(err) {
			t.Errorf("go-redis reads %.200q, %v; without the checks %.200q, %v", value, err, plain, plainErr)
		}
	})
}
