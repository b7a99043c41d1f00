//go:build linux

package store

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"fivetuple/examples/lab"
	redistest "fivetuple/examples/redis"
)

// inside dials from a namespace; what counts comes before it.
type inside struct{ *lab.Namespace }

func (n inside) DialHook(redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		return n.DialContext(ctx, network, addr)
	}
}
func (inside) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (inside) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// TestPartition drops all of the server's packets to a gateway: its connections stay, new ones come to nothing, and nobody says so.
func TestPartition(t *testing.T) {
	net := redistest.NewLab(t)
	s := redistest.Start(t, redistest.Options{In: net.Gateway, Host: lab.GatewayFrontIPv4, Config: []string{"protected-mode no"}})
	m := new(Meter)
	c := connect(t, m, single(s))
	c.AddHook(inside{net.Client})
	l := link(t, "a", c, m, func(l *Link) { l.Subscriber.pingEvery = 100 * time.Millisecond })
	flush(t, l.Writer)

	gone, err := netlink.ParseIPNet(lab.ClientIPv4 + "/32")
	if err != nil {
		t.Fatal(err)
	}
	drop := &netlink.Route{Dst: gone, Type: unix.RTN_BLACKHOLE}
	inServer := func(do func(*netlink.Route) error) {
		if err := net.Gateway.Do(func() error { return do(drop) }); err != nil {
			t.Fatal(err)
		}
	}
	inServer(netlink.RouteAdd)
	for i := range 1000 {
		l.Writer.Set(fmt.Sprint("k", i%100), []byte(fmt.Sprint(i)), time.Hour)
	}
	redistest.Await(t, "tries", func() bool { c := l.Counts(); return c.Retried > 0 && !c.Up })
	t.Log(l.Counts().LastError)
	inServer(netlink.RouteDel)
	healed := time.Now()
	token(t, "a new subscription", l.Subscriber.Again())
	flush(t, l.Writer)
	equal(t, "a value", s.Do("GET", "k7"), 907)
	redistest.Await(t, "being up", func() bool { return l.Counts().Up })
	t.Logf("healed after %v: %+v", time.Since(healed), l.Counts())
	redistest.Await(t, "a subscriber", func() bool {
		return s.Do("PUBLISH", keysOf("f").Channel("b"), "flag").(int64) > 0
	})
	equal(t, "heard", string(hear(t, l.Subscriber).Payload), "flag")
}
