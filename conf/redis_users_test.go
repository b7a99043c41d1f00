//go:build linux

package conf

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// users returns the shipped ACL file for the gateways a and b of the fleet f; everybody's password is their name.
func users(t *testing.T) string {
	t.Helper()
	var all []string
	for line := range strings.Lines(shipped(t, "fivetuple.acl")) {
		line = strings.ReplaceAll(line, "FLEET", "f")
		switch {
		case strings.Contains(line, "GATEWAY"):
			for _, name := range []string{"a", "b"} {
				all = append(all, hashed(strings.ReplaceAll(line, "GATEWAY", name), name))
			}
		default:
			all = append(all, hashed(line, "people"))
		}
	}
	return strings.Join(all, "")
}

func hashed(line, secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return strings.ReplaceAll(line, "PASSWORD", hex.EncodeToString(sum[:]))
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
