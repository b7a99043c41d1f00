//go:build linux

package share_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"fivetuple/correlator/store"
	redistest "fivetuple/examples/redis"
)

var zerologNop = zerolog.Nop()

const kindPublish = store.KindPublish

// shippedUsers are those of conf/redis/fivetuple.acl in the fleet `test`, some gateways and people, with their names as passwords.
func shippedUsers(t testing.TB, gateways ...string) string {
	t.Helper()
	text, err := os.ReadFile("../../conf/redis/fivetuple.acl")
	if err != nil {
		t.Fatal(err)
	}
	return redistest.Users(string(text), "test", gateways...)
}

// shippedConfig are the lines of conf/redis/redis.conf, but for the ACL file, which the rig has its own way with.
func shippedConfig(t testing.TB) (lines []string) {
	t.Helper()
	text, err := os.ReadFile("../../conf/redis/redis.conf")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' && !strings.HasPrefix(line, "aclfile ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// guarded starts a server with the settings and the users that are shipped, and returns each user's settings; more are further
// lines of redis.conf.
func guarded(t testing.TB, gateways ...string) (*redistest.Server, func(user string) settings) {
	t.Helper()
	return guardedWith(t, redistest.Options{}, gateways...)
}

func guardedWith(t testing.TB, o redistest.Options, gateways ...string) (*redistest.Server, func(user string) settings) {
	t.Helper()
	o.ACL, o.Config = shippedUsers(t, gateways...), append(shippedConfig(t), o.Config...)
	server := redistest.Start(t, o)
	s := in(server.Address())
	if c := o.TLS; c != nil {
		s.Redis.TLS = store.TLSOptions{Enabled: true, CAFile: c.CA, CertFile: c.ClientCert, KeyFile: c.ClientKey, ServerName: c.ServerName}
	}
	return server, func(user string) settings { return s.as(t, user) }
}

// as returns the settings of a user, who has its name as password, and, if it is a gateway, as name.
func (s settings) as(t testing.TB, user string) settings {
	t.Helper()
	s = s.of(user)
	s.Redis.Username, s.Redis.PasswordFile = user, filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(s.Redis.PasswordFile, []byte(user+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}
