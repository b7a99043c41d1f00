//go:build linux

package conf

import (
	"testing"

	"fivetuple/correlator/fleet"
	redistest "fivetuple/examples/redis"
)

// TestGatewayUser is the ACL file at a real server: gateway a under its own name, and all that it must not do to b.
func TestGatewayUser(t *testing.T) {
	s := redistest.Start(t, redistest.Options{ACL: users(t)})
	a, k := s.Client("a", "a"), fleet.NewKeys("f", false)
	list := k.Gateways()
	may(t, s.Client("b", "b"), true, writes("b")...)
	may(t, a, true, writes("a")...)
	may(t, a, true, reads("b")...)
	may(t, a, true, command{"PUBLISH", k.Channel("a"), "x"}, command{"ZADD", list, 1, "a"}, command{"EXPIRE", list, 86400})
	may(t, a, false, writes("b")...)
	may(t, a, false, command{"PUBLISH", k.Channel("b"), "x"}, command{"PUBLISH", k.Channel("b:c"), "x"}, command{"SPUBLISH", k.Channel("a"), "x"},
		command{"SET", list, "x"}, command{"DEL", list}, command{"ZREM", list, "b"}, command{"ZPOPMIN", list}, command{"RENAME", list, k.Who("a")},
		command{"ZRANGESTORE", list, k.Who("a"), 0, -1}, command{"XADD", list, "*", "v", "1"})
	may(t, a, false, takesOf(k.Who("b"), k.Who("a"))...)
	may(t, a, false, takesOf(k.Events("b"), k.Events("a"))...)
	may(t, a, false, foreign()...)
	may(t, a, false, dangerous()...)
	if v, err := s.Admin().Get(t.Context(), k.Who("b")).Result(); err != nil || v != "v" {
		t.Errorf("b's value %q, %v after all this", v, err)
	}
}

// TestGatewaySubscribes hears others by the pattern only: the rights to it give none to publish.
func TestGatewaySubscribes(t *testing.T) {
	s := redistest.Start(t, redistest.Options{ACL: users(t)})
	k := fleet.NewKeys("f", false)
	for pattern, want := range map[string]bool{
		k.Channels(): true, "*": false, "fivetuple:*": false, fleet.NewKeys("g", false).Channels(): false, k.Channel("b"): false,
	} {
		p := s.Client("a", "a").PSubscribe(t.Context(), pattern)
		_, err := p.Receive(t.Context())
		if (err == nil) != want {
			t.Errorf("PSUBSCRIBE %s: %v, may: %v", pattern, err, want)
		}
		if want {
			may(t, s.Client("b", "b"), true, command{"PUBLISH", k.Channel("b"), "x"})
			m, err := p.ReceiveMessage(t.Context())
			if err != nil || m.Channel != k.Channel("b") || m.Payload != "x" {
				t.Errorf("heard %v, %v", m, err)
			}
		}
		_ = p.Close()
	}
}
