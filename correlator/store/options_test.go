package store

import (
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	many := strings.Split(strings.Repeat("a:1 ", maxAddresses+1), " ")[:maxAddresses+1]
	for _, c := range []struct {
		name   string
		change func(*Options)
		want   string // empty: taken
	}{
		{"defaults", func(*Options) {}, ""},
		{"IPv6", func(o *Options) { o.Addresses = []string{"[::1]:6379"} }, ""},
		{"password without user", func(o *Options) { o.PasswordEnv = "REDIS_PASSWORD" }, ""},
		{"too many", func(o *Options) { o.Mode, o.Addresses = ModeCluster, many }, "addresses: 17 given, range 0..16"},
		{"no port", func(o *Options) { o.Addresses = []string{"redis"} }, `addresses[0]: "redis" is not a host and a port, like redis.example.net:6379`},
		{"port 0", func(o *Options) { o.Addresses = []string{"redis:0"} }, `addresses[0]: "redis:0" is not a host and a port, like redis.example.net:6379`},
		{"no host", func(o *Options) { o.Addresses = []string{":6379"} }, `addresses[0]: ":6379" is not a host and a port, like redis.example.net:6379`},
		{"URL", func(o *Options) { o.Addresses = []string{"redis://a:6379"} }, `addresses[0]: "redis://a:6379" is not a host and a port, like redis.example.net:6379`},
		{"URL with a password", func(o *Options) { o.Addresses = []string{"redis://:s3cr@et@a:6379"} }, `addresses[0]: "(hidden)@a:6379" is not a host and a port, like redis.example.net:6379`},
		{"mode", func(o *Options) { o.Mode = "ring" }, `mode: "ring" is not one of single, sentinel, cluster`},
		{"database", func(o *Options) { o.Database = 16 }, "database: 16 is not in 0..15"},
		{"file", func(o *Options) { o.PasswordFile = "password" }, `password_file: "password" is not an absolute path below /, like /etc/fivetuple/redis.password`},
		{"variable", func(o *Options) { o.PasswordEnv = "A=B" }, `password_env: "A=B" is not the name of an environment variable`},
		{"timeout", func(o *Options) { o.Timeout = 1 }, "timeout: 1ns is not in 100ms..10s"},
		{"queue", func(o *Options) { o.Queue = 1 }, "queue: 1 is not in 64..65536"},

		{"sentinel without master", func(o *Options) { o.Mode = ModeSentinel }, `master: "" with redis.mode sentinel, which needs the primary's name`},
		{"master without sentinel", func(o *Options) { o.Master = "m" }, `master: "m" with redis.mode single: only Sentinels know names`},
		{"database of a cluster", func(o *Options) { o.Mode, o.Database = ModeCluster, 1 }, "database: 1 with redis.mode cluster, which has 0 only"},
		{"two servers", func(o *Options) { o.Addresses = []string{"a:1", "b:1"} }, "addresses: 2 given with redis.mode single, which has one"},
		{"user of Sentinels", func(o *Options) { o.Sentinel = SentinelOptions{"u", "", "P"} }, `sentinel.username: "u" with redis.mode single
sentinel.password_env: "P" with redis.mode single`},
		{"files without TLS", func(o *Options) { o.TLS = TLSOptions{CAFile: "/ca", ServerName: "n"} }, `tls.ca_file: "/ca" with redis.tls.enabled false
tls.server_name: "n" with redis.tls.enabled false`},
		{"certificate without key", func(o *Options) { o.TLS = TLSOptions{Enabled: true, CertFile: "/c"} }, `tls.cert_file: "/c" with redis.tls.key_file "": both or none`},
		{"key without certificate", func(o *Options) { o.TLS = TLSOptions{Enabled: true, KeyFile: "/k"} }, `tls.cert_file: "" with redis.tls.key_file "/k": both or none`},
		{"two passwords", func(o *Options) { o.PasswordFile, o.PasswordEnv = "/p", "P" }, `password_file: "/p" with redis.password_env "P": one of them`},
		{"user without password", func(o *Options) { o.Username = "u" }, `username: "u" without redis.password_file and redis.password_env`},
		{"two passwords for Sentinels", func(o *Options) {
			o.Mode, o.Master, o.Sentinel = ModeSentinel, "m", SentinelOptions{"u", "/p", "P"}
		}, `sentinel.password_file: "/p" with redis.sentinel.password_env "P": one of them`},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Default()
			c.change(&o)
			got := ""
			if err := o.Validate(); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("error\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}
