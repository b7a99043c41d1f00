//go:build linux

package conf

import (
	"strings"
	"testing"

	"fivetuple/correlator/fleet"
	redistest "fivetuple/examples/redis"
)

// TestPeopleUser reads everything of the fleet, and changes nothing.
func TestPeopleUser(t *testing.T) {
	s := redistest.Start(t, redistest.Options{ACL: users(t)})
	people, k := s.Client("people", "people"), fleet.NewKeys("f", false)
	may(t, s.Client("a", "a"), true, writes("a")...)
	may(t, people, true, reads("a")...)
	may(t, people, true, command{"XREAD", "COUNT", 1, "STREAMS", k.Events("a"), "0"})
	may(t, people, false, writes("a")...)
	may(t, people, false, takesOf(k.Who("a"), k.Flags("a"))...)
	may(t, people, false, foreign()...)
	may(t, people, false, dangerous()...)
	may(t, people, false, command{"PUBLISH", k.Channel("a"), "x"}, command{"ZADD", k.Gateways(), 1, "a"}, command{"EXPIRE", k.Gateways(), 1},
		command{"ZREMRANGEBYRANK", k.Gateways(), 0, -1})
	err := s.Client("", "").Ping(t.Context()).Err()
	if err == nil || !strings.HasPrefix(err.Error(), "NOAUTH") {
		t.Errorf("without a user: %v, want NOAUTH", err)
	}
}
