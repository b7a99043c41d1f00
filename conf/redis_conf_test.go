//go:build linux

package conf

import (
	"fmt"
	"strings"
	"testing"

	redistest "fivetuple/examples/redis"
)

// TestRedisConf has a server start with the shipped fragment.
func TestRedisConf(t *testing.T) {
	var lines []string
	for line := range strings.Lines(shipped(t, "redis.conf")) {
		if !strings.HasPrefix(line, "aclfile ") { // the rig's own, with the users of the other tests
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	s := redistest.Start(t, redistest.Options{Config: lines})
	for name, want := range map[string]string{
		"save": "", "appendonly": "no", "maxmemory": fmt.Sprint(2 << 30), "maxmemory-policy": "noeviction", "proto-max-bulk-len": fmt.Sprint(1 << 20),
	} {
		got, err := s.Admin().ConfigGet(t.Context(), name).Result()
		if err != nil || got[name] != want {
			t.Errorf("%s is %q, %v, want %q", name, got[name], err, want)
		}
	}
	large := make([]byte, 1<<20+1)
	if err := s.Admin().Set(t.Context(), "k", large, 0).Err(); err == nil {
		t.Error("a value beyond the bound was taken")
	}
}
