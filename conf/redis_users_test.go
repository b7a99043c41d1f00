//go:build linux

package conf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	redistest "fivetuple/examples/redis"
)

// users returns the shipped ACL file for the gateways a and b of the fleet f; everybody's password is their name.
func users(t *testing.T) string {
	t.Helper()
	return redistest.Users(shipped(t, "fivetuple.acl"), "f", "a", "b")
}

func shipped(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("redis", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// command is one command and its arguments.
type command []any

func (c command) String() string { return strings.TrimSpace(fmt.Sprintln([]any(c)...)) }

// may holds what a user may do, and what not, by the server's own answers. An error of another sort is not a refusal.
func may(t *testing.T, c *redis.Client, want bool, all ...command) {
	t.Helper()
	for _, args := range all {
		err := c.Do(t.Context(), args...).Err()
		isRefused := err != nil && strings.HasPrefix(err.Error(), "NOPERM")
		if isRefused == want || want && err != nil && !errors.Is(err, redis.Nil) {
			t.Errorf("%v: %v, may: %v", args, err, want)
		}
	}
}
