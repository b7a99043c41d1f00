package conf

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fivetuple/bpf"
	"fivetuple/correlator"
	"fivetuple/correlator/baseline"
	"fivetuple/correlator/fleet"
	"fivetuple/correlator/store"
	"fivetuple/correlator/watch"
)

func TestDefault(t *testing.T) {
	want := Config{
		Agent: bpf.Options{
			Interfaces:   []string{"*"},
			Pins:         bpf.PinOptions{Path: "/run/fivetuple/bpf", Mode: "0640"},
			Tables:       bpf.TableOptions{Flows: 65536, HalfOpen: 16384, UDP: 16384, Sources: 16384, Holes: 4096, Verdicts: 16384},
			Midstream:    bpf.MidstreamSocket,
			Sweep:        bpf.SweepOptions{Every: 5 * time.Second, Closed: 10 * time.Second, Idle: 30 * time.Minute},
			FirstPayload: bpf.FirstPayloadKeep, OnExit: bpf.ExitKeep, OnNoInterface: bpf.NoInterfaceWait,
		},
		Watch:      watch.Options{Enabled: true, Keep: time.Minute, Flows: 16384, Trusted: []string{}},
		Correlator: correlator.Options{Tuple: correlator.TupleHeader, Connections: 65536, Stale: 5 * time.Second, Quiet: 5 * time.Second},
		Baseline:   baseline.Default(),
		Signals:    Signals{FlagAbove: 0.8},
		Runner: Runner{
			SocketMode: "0660", PeerUIDs: []string{}, OnConfigError: ConfigErrorMark, Drain: 900 * time.Millisecond, Switches: "/var/lib/fivetuple/switches.yaml",
		},
		Calls: Calls{
			File: "/var/log/fivetuple/calls.jsonl", Sample: 1, Queue: 8192, Path: PathOff, IPv4Prefix: 32, IPv6Prefix: 128,
			Rotate: Rotate{Size: 100, Keep: 5, Days: 7},
		},
		Metrics: Metrics{Listen: "127.0.0.1:9476", Hosts: []string{}, Series: 200},
		Redis:   store.Default(),
		Fleet:   fleet.Default(),
		Report:  Report{Routes: 200},
		Log:     Log{Level: LevelInfo, Format: FormatJSON},
	}
	if d := cmp.Diff(want, Default()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestDefaultIsACopy(t *testing.T) {
	Default().Agent.Interfaces[0] = "eth0"
	DefaultFile()[0] = 'x'
	if Default().Agent.Interfaces[0] != "*" || DefaultFile()[0] != '#' {
		t.Error("a caller changed the defaults")
	}
}

// TestParse reads what is right: each text changes the defaults by one function.
func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, text string
		change     func(*Config)
	}{
		{"empty", "", func(*Config) {}},
		{"comments only", "# nothing\n", func(*Config) {}},
		{"null", "~\n", func(*Config) {}},
		{"the default itself", string(DefaultFile()), func(*Config) {}},
		{"byte order mark", "\ufefflog: {level: warn}\n", func(c *Config) { c.Log.Level = LevelWarn }},
		{"carriage returns", "log:\r\n  level: warn\r\n", func(c *Config) { c.Log.Level = LevelWarn }},
		{"empty section", "agent:\n  # flows: 1\nlog: {level: warn}\n", func(c *Config) { c.Log.Level = LevelWarn }},
		{"JSON", `{"log": {"level": "warn"}}`, func(c *Config) { c.Log.Level = LevelWarn }},
		{"document marks", "---\nlog: {level: warn}\n...\n", func(c *Config) { c.Log.Level = LevelWarn }},
		{"one deep key", "agent: {sweep: {idle: 1h30m}}", func(c *Config) { c.Agent.Sweep.Idle = 90 * time.Minute }},
		{"a list takes the place of the list", "agent: {interfaces: [eth0, \"en*\"]}", func(c *Config) {
			c.Agent.Interfaces = []string{"eth0", "en*"}
		}},
		{"environment is not read", "agent: {pins: {group: $HOME}}", func(c *Config) { c.Agent.Pins.Group = "$HOME" }},
		{"number in quotes is text", "agent: {pins: {group: \"65534\"}}", func(c *Config) { c.Agent.Pins.Group = "65534" }},
		{"socket", "runner: {socket: /run/s.sock}", func(c *Config) { c.Runner.Socket = "/run/s.sock" }},
		{"runner", "runner: {on_config_error: refuse, drain: 0s, switches: /run/s}", func(c *Config) {
			c.Runner.OnConfigError, c.Runner.Drain, c.Runner.Switches = ConfigErrorRefuse, 0, "/run/s"
		}},
		{"baseline", "baseline: {file: \"\", keys: 1, window: 1s, windows: 2, shift_windows: 2, drift: 1.1, source_share: 1}", func(c *Config) {
			c.Baseline.File, c.Baseline.Keys, c.Baseline.Window, c.Baseline.Windows = "", 1, time.Second, 2
			c.Baseline.ShiftWindows, c.Baseline.Drift, c.Baseline.SourceShare = 2, 1.1, 1
		}},
		{"calls", "calls: {file: \"\", sample: 0.25, path: hash, ipv4_prefix: 24, ipv6_prefix: 0, rotate: {size: 1, keep: 1, days: 1}}", func(c *Config) {
			c.Calls = Calls{Sample: 0.25, Queue: 8192, Path: PathHash, IPv4Prefix: 24, Rotate: Rotate{1, 1, 1}}
		}},
		{"signals", "signals: {flag_above: 0.5}", func(c *Config) { c.Signals.FlagAbove = 0.5 }},
		{"off without quotes is text", "calls: {path: off, sample: 0}", func(c *Config) { c.Calls.Sample = 0 }},
		{"metrics for others", "metrics: {listen: \"0.0.0.0:80\", remote: true, hosts: [a.example], series: 1}", func(c *Config) {
			c.Metrics = Metrics{"0.0.0.0:80", true, []string{"a.example"}, 1}
		}},
		{"metrics over IPv6", "metrics: {listen: \"[::1]:9476\"}", func(c *Config) { c.Metrics.Listen = "[::1]:9476" }},
		{"no metrics", "metrics: {listen: \"\"}", func(c *Config) { c.Metrics.Listen = "" }},
		{"redis", "redis: {addresses: [\"a:1\", \"[::1]:2\"], mode: cluster, username: u, password_file: /p, timeout: 2s}\nfleet: {name: f, spread: true}", func(c *Config) {
			c.Redis.Addresses, c.Redis.Mode, c.Redis.Username, c.Redis.PasswordFile = []string{"a:1", "[::1]:2"}, store.ModeCluster, "u", "/p"
			c.Redis.Timeout, c.Fleet.Name, c.Fleet.Spread = 2*time.Second, "f", true
		}},
		{"TLS", "redis: {tls: {enabled: true, ca_file: /ca, cert_file: /c, key_file: /k, server_name: n}}", func(c *Config) {
			c.Redis.TLS = store.TLSOptions{Enabled: true, CAFile: "/ca", CertFile: "/c", KeyFile: "/k", ServerName: "n"}
		}},
		{"sentinel", "redis: {mode: sentinel, master: m, sentinel: {username: u, password_env: P}}", func(c *Config) {
			c.Redis.Mode, c.Redis.Master, c.Redis.Sentinel = store.ModeSentinel, "m", store.SentinelOptions{Username: "u", PasswordEnv: "P"}
		}},
		{"fleet", "redis: {addresses: [\"a:1\"]}\nfleet: {name: f, gateway: g, baselines: false, gateway_share: 1, shared_verdicts: observe, quorum: 16, trusted: [10.0.0.1, \"fd00::/8\"]}", func(c *Config) {
			c.Redis.Addresses = []string{"a:1"}
			c.Fleet = fleet.Options{
				Name: "f", Gateway: "g", GatewayShare: 1, SharedVerdicts: fleet.VerdictsObserve, Quorum: 16, Trusted: []string{"10.0.0.1", "fd00::/8"},
			}
		}},
		{"verdicts off without quotes", "fleet: {shared_verdicts: off}", func(*Config) {}},
		{"bounds", "agent: {tables: {flows: 16777216, half_open: 1024}}\ncorrelator: {stale: 60s}", func(c *Config) {
			c.Agent.Tables.Flows, c.Agent.Tables.HalfOpen, c.Correlator.Stale = 16777216, 1024, time.Minute
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := Default()
			c.change(&want)
			got, err := Parse("x.yaml", []byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestParseRefuses holds the whole message for what is wrong.
func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown section", "agents: {}", `x.yaml:1: agents: unknown key, known here: agent, baseline, calls, correlator, fleet, log, metrics, redis, report, runner, signals, watch`},
		{"unknown key", "log:\n  levle: info", `x.yaml:2: log.levle: unknown key, known here: format, level`},
		{"upper case", "log: {Level: info}", `x.yaml:1: log.Level: unknown key, known here: format, level`},
		{"merge key", "log: {<<: {level: info}}", `x.yaml:1: log."<<": unknown key, known here: format, level`},
		{"key with a line break", `"a\nb": 1`, `x.yaml:1: "a\nb": unknown key, known here: agent, baseline, calls, correlator, fleet, log, metrics, redis, report, runner, signals, watch`},
		{"list as key", "? [a]\n: 1", `x.yaml:1: a key has to be a name`},
		{"given twice", "log:\n  level: info\n  level: warn", `x.yaml:3: log.level: given twice, first on line 2`},
		{"section twice", "log: {}\nrunner: {}\nlog: {}", `x.yaml:3: log: given twice, first on line 1`},
		{"list at the top", "- a", `x.yaml:1: a list, want keys and values`},
		{"text at the top", "hello", `x.yaml:1: "hello" is text, want keys and values`},
		{"text for a section", "agent: eth0", `x.yaml:1: agent: "eth0" is text, want keys and values`},
		{"second document", "log: {}\n---\nlog: {}", `x.yaml:3: a second document begins here; one file is one document`},
		{"second document, empty", "log: {}\n---\n", `x.yaml:3: a second document begins here; one file is one document`},
		{"not YAML", "log: {", `x.yaml:1: not YAML: did not find expected node content`},
		{"alias", "log: {level: &a info, format: *a}", `x.yaml:1: log.format: the alias *a, want text, in quotes if it looks like anything else: "a"`},

		{"text for a number", `agent: {tables: {flows: "65536"}}`, `x.yaml:1: agent.tables.flows: "65536" is text, want a whole number, like 65536`},
		{"fraction", `agent: {tables: {flows: 4096.0}}`, `x.yaml:1: agent.tables.flows: 4096.0 is a number, want a whole number in decimal digits, like 65536`},
		{"octal", `agent: {tables: {flows: 010000}}`, `x.yaml:1: agent.tables.flows: 010000 is a number, want a whole number in decimal digits, like 65536`},
		{"hexadecimal", `correlator: {connections: 0x1000}`, `x.yaml:1: correlator.connections: 0x1000 is a number, want a whole number in decimal digits, like 65536`},
		{"below 0", `agent: {tables: {flows: -1}}`, `x.yaml:1: agent.tables.flows: -1 is not in 0..4294967295`},
		{"beyond 32 bits", `agent: {tables: {flows: 4294967296}}`, `x.yaml:1: agent.tables.flows: 4294967296 is not in 0..4294967295`},
		{"beyond 64 bits", `agent: {tables: {flows: 99999999999999999999}}`, `x.yaml:1: agent.tables.flows: 99999999999999999999 is not in 0..4294967295`},
		{"truth for a number", `agent: {tables: {flows: true}}`, `x.yaml:1: agent.tables.flows: true is a truth value, want a whole number, like 65536`},
		{"nothing for a number", `agent: {tables: {flows: }}`, `x.yaml:1: agent.tables.flows: nothing is given, want a whole number, like 65536`},
		{"list for a number", `agent: {tables: {flows: [1]}}`, `x.yaml:1: agent.tables.flows: a list, want a whole number, like 65536`},

		{"number for text", `agent: {pins: {group: 65534}}`, `x.yaml:1: agent.pins.group: 65534 is a number, want text, in quotes if it looks like anything else: "65534"`},
		{"mode without quotes", `agent: {pins: {mode: 0440}}`, `x.yaml:1: agent.pins.mode: 0440 is a number, want text, in quotes if it looks like anything else: "0440"`},
		{"truth for text", `agent: {on_exit: true}`, `x.yaml:1: agent.on_exit: true is a truth value, want text, in quotes if it looks like anything else: "true"`},
		{"type of one's own", `log: {level: !mine info}`, `x.yaml:1: log.level: "info" has the type "!mine", want text, in quotes if it looks like anything else: "info"`},
		{"nothing for text", "log: {level: ~}", `x.yaml:1: log.level: nothing is given, want text, in quotes if it looks like anything else: "~"`},

		{"number for a duration", `agent: {sweep: {every: 5}}`, `x.yaml:1: agent.sweep.every: 5 is a number, want a duration with its unit, like 5s`},
		{"duration without a unit", `agent: {sweep: {every: "5"}}`, `x.yaml:1: agent.sweep.every: "5" is text, want a duration with its unit, like 5s`},
		{"duration in days", `agent: {sweep: {idle: 1d}}`, `x.yaml:1: agent.sweep.idle: "1d" is text, want a duration with its unit, like 5s`},

		{"text for a list", "agent: {interfaces: eth0}", `x.yaml:1: agent.interfaces: "eth0" is text, want a list, like [a, b]`},
		{"number in a list", "agent:\n  interfaces:\n    - eth0\n    - 1", `x.yaml:4: agent.interfaces[1]: 1 is a number, want text, in quotes if it looks like anything else: "1"`},
		{"empty list", "agent: {interfaces: []}", `x.yaml:1: agent.interfaces: 0 names given, range 1..64`},

		{"out of range", "\nagent:\n  tables:\n    flows: 12", `x.yaml:4: agent.tables.flows: 12 is not in 1024..16777216 entries`},
		{"duration out of range", "agent: {sweep: {every: 2m}}", `x.yaml:1: agent.sweep.every: 2m0s is not in 100ms..1m0s`},
		{"list item out of range", "agent:\n  interfaces:\n    - eth0\n    - a/b", `x.yaml:4: agent.interfaces[1]: "a/b" is not an interface name or a shell pattern of one`},
		{"mode of pins that nobody may write", `agent: {pins: {mode: "0440"}}`, `x.yaml:1: agent.pins.mode: "0440" is not one of "0600", "0640", "0644": use "0640", with which the agent can open its own tables again after a restart`},
		{"no such mode", `agent: {pins: {mode: "0666"}}`, `x.yaml:1: agent.pins.mode: "0666" is not one of "0600", "0640", "0644"`},
		{"no such word", "correlator: {tuple: guess}", `x.yaml:1: correlator.tuple: "guess" is not one of header, map-variable, variables`},
		{"no such level", "log: {level: trace}", `x.yaml:1: log.level: "trace" is not one of debug, info, warn, error`},
		{"no such format", "log: {format: xml}", `x.yaml:1: log.format: "xml" is not one of json, console`},
		{"socket with its scheme", `runner: {socket: "unix:/run/s"}`, `x.yaml:1: runner.socket: "unix:/run/s" is not an absolute path below /, like /run/fivetuple/socket/runner.sock`},
		{"socket that a group may read only", `runner: {socket_mode: "0640"}`, `x.yaml:1: runner.socket_mode: "0640" is not one of "0600", "0660", "0666"`},
		{"socket group without quotes", `runner: {socket_group: 636}`, `x.yaml:1: runner.socket_group: 636 is a number, want text, in quotes if it looks like anything else: "636"`},
		{"peer without a name", `runner: {peer_uids: [apisix, ""]}`, `x.yaml:1: runner.peer_uids[1]: "" is no user's name or number`},
		{"no such treatment", `runner: {on_config_error: ignore}`, `x.yaml:1: runner.on_config_error: "ignore" is not one of mark, refuse`},
		{"long draining", `runner: {drain: 61s}`, `x.yaml:1: runner.drain: 1m1s is not in 0s..1m0s`},
		{"draining backwards", `runner: {drain: -1s}`, `x.yaml:1: runner.drain: -1s is not in 0s..1m0s`},
		{"no switches", `runner: {switches: ""}`, `x.yaml:1: runner.switches: "" is not an absolute path below /, like /var/lib/fivetuple/switches.yaml`},
		{"switches somewhere", `runner: {switches: switches.yaml}`, `x.yaml:1: runner.switches: "switches.yaml" is not an absolute path below /, like /var/lib/fivetuple/switches.yaml`},
		{"switches by a detour", `runner: {switches: /run/../s}`, `x.yaml:1: runner.switches: "/run/../s" is not an absolute path below /, like /var/lib/fivetuple/switches.yaml`},
		{"calls somewhere", `calls: {file: calls.jsonl}`, `x.yaml:1: calls.file: "calls.jsonl" is not an absolute path below /, like /var/log/fivetuple/calls.jsonl`},
		{"more than all", `calls: {sample: 1.01}`, `x.yaml:1: calls.sample: 1.01 is not in 0..1`},
		{"less than none", `calls: {sample: -0.5}`, `x.yaml:1: calls.sample: -0.5 is a number, want a decimal number, like 0.25`},
		{"no number", `calls: {sample: .nan}`, `x.yaml:1: calls.sample: .nan is a number, want a decimal number, like 0.25`},
		{"everything flagged", `signals: {flag_above: 0}`, `x.yaml:1: signals.flag_above: 0 is not above 0, up to 1`},
		{"beyond a score", `signals: {flag_above: 1.5}`, `x.yaml:1: signals.flag_above: 1.5 is not above 0, up to 1`},
		{"power", `calls: {sample: 1e-3}`, `x.yaml:1: calls.sample: 1e-3 is a number, want a decimal number, like 0.25`},
		{"text for a share", `calls: {sample: "1"}`, `x.yaml:1: calls.sample: "1" is text, want a decimal number, like 0.25`},
		{"percent", `calls: {sample: 10%}`, `x.yaml:1: calls.sample: "10%" is text, want a decimal number, like 0.25`},
		{"short queue", `calls: {queue: 63}`, `x.yaml:1: calls.queue: 63 is not in 64..1048576`},
		{"no such path", `calls: {path: some}`, `x.yaml:1: calls.path: "some" is not one of off, hash, full`},
		{"long IPv4 prefix", `calls: {ipv4_prefix: 33}`, `x.yaml:1: calls.ipv4_prefix: 33 is not in 0..32`},
		{"IPv6 prefix below 0", `calls: {ipv6_prefix: -1}`, `x.yaml:1: calls.ipv6_prefix: -1 is not in 0..128`},
		{"no size", `calls: {rotate: {size: 0}}`, `x.yaml:1: calls.rotate.size: 0 is not in 1..10240`},
		{"keep all", `calls: {rotate: {keep: 0}}`, `x.yaml:1: calls.rotate.keep: 0 is not in 1..1000`},
		{"keep for ever", `calls: {rotate: {days: 0}}`, `x.yaml:1: calls.rotate.days: 0 is not in 1..3650`},
		{"metrics for all", `metrics: {listen: "0.0.0.0:9476"}`, `x.yaml:1: metrics.listen: "0.0.0.0:9476" can be reached from other hosts, which metrics.remote: true has to allow`},
		{"metrics for a net", `metrics: {listen: "[fe80::1%eth0]:9476"}`, `x.yaml:1: metrics.listen: "[fe80::1%eth0]:9476" can be reached from other hosts, which metrics.remote: true has to allow`},
		{"metrics on a name", `metrics: {listen: "localhost:9476"}`, `x.yaml:1: metrics.listen: "localhost:9476" is not an IP address and a port, like 127.0.0.1:9476 or [::1]:9476`},
		{"metrics on any port", `metrics: {listen: "127.0.0.1:0"}`, `x.yaml:1: metrics.listen: "127.0.0.1:0" is not an IP address and a port, like 127.0.0.1:9476 or [::1]:9476`},
		{"truth as text", `metrics: {remote: "true"}`, `x.yaml:1: metrics.remote: "true" is text, want true or false`},
		{"metrics of a name with a port", `metrics: {hosts: [a, "b:80"]}`, `x.yaml:1: metrics.hosts: [1]: "b:80" is not a host's name of 1 to 253 letters, digits and -_. without a port`},
		{"no series", `metrics: {series: 0}`, `x.yaml:1: metrics.series: 0 is not in 1..10000`},
		{"Redis by URL", `redis: {addresses: ["redis://u:pw@a:6379"]}`, `x.yaml: fleet.name: "" with redis.addresses: two fleets without a name would be one
x.yaml:1: redis.addresses[0]: "(hidden)@a:6379" is not a host and a port, like redis.example.net:6379`},
		{"fleet without a name", "redis:\n  addresses: [\"a:1\"]\nfleet:\n  name: \"\"", `x.yaml:4: fleet.name: "" with redis.addresses: two fleets without a name would be one`},
		{"verdicts for nobody", "fleet: {shared_verdicts: enforce}", `x.yaml:1: fleet.shared_verdicts: "enforce" with redis.addresses []: there is nobody to share with`},
		{"spread without a cluster", "fleet: {spread: true}", `x.yaml:1: fleet.spread: true with redis.mode single: only a Cluster has slots`},
		{"primary without Sentinels", "redis: {master: m}", `x.yaml:1: redis.master: "m" with redis.mode single: only Sentinels know names`},
		{"certificate without encryption", "redis: {tls: {ca_file: /ca}}", `x.yaml:1: redis.tls.ca_file: "/ca" with redis.tls.enabled false`},
		{"password as text", "redis: {password: secret}", `x.yaml:1: redis.password: unknown key, known here: addresses, database, master, mode, password_env, password_file, queue, sentinel, timeout, tls, username`},
		{"fleet with a dot", "fleet: {name: eu.west}", `x.yaml:1: fleet.name: "eu.west" has more than letters, digits, - and _`},
		{"gateway that is a pattern", `fleet: {gateway: "*"}`, `x.yaml:1: fleet.gateway: "*" has more than letters, digits, - and _`},
		{"no share", "fleet: {gateway_share: 0.01}", `x.yaml:1: fleet.gateway_share: 0.01 is not in 0.02..1`},
		{"no such sharing", "fleet: {shared_verdicts: on}", `x.yaml:1: fleet.shared_verdicts: "on" is not one of off, observe, enforce`},
		{"quorum of one", "fleet: {quorum: 1}", `x.yaml:1: fleet.quorum: 1 is not in 2..16`},
		{"trusted name", "fleet: {trusted: [localhost]}", `x.yaml:1: fleet.trusted[0]: "localhost" is not an address or a prefix, like 10.0.0.1 or 2001:db8::/32`},
		{"no routes", `report: {routes: 0}`, `x.yaml:1: report.routes: 0 is not in 1..10000`},
		{"too many routes", `report: {routes: 10001}`, `x.yaml:1: report.routes: 10001 is not in 1..10000`},
		{"socket that is a folder", `runner: {socket: /run/}`, `x.yaml:1: runner.socket: "/run/" is not an absolute path below /, like /run/fivetuple/socket/runner.sock`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse("x.yaml", []byte(c.text))
			if err == nil {
				t.Fatalf("taken, want the error %s", c.want)
			}
			if err.Error() != c.want {
				t.Errorf("error\n%s\nwant\n%s", err, c.want)
			}
			if d := cmp.Diff(Config{}, got); d != "" {
				t.Errorf("an error and settings:\n%s", d)
			}
		})
	}
}

// TestParseReportsAll wants every problem, of whatever sort, once and in the file's order.
func TestParseReportsAll(t *testing.T) {
	const text = `log:
  format: xml
  level: 5
agent:
  tables:
    udp: 7
    flows: many
  colour: red
  on_exit: keep
  on_exit: remove
correlator:
  stale: 1ms
  connections: 1
---
more: true
`
	const want = `x.yaml:2: log.format: "xml" is not one of json, console
x.yaml:3: log.level: 5 is a number, want text, in quotes if it looks like anything else: "5"
x.yaml:6: agent.tables.udp: 7 is not in 1024..16777216 entries
x.yaml:7: agent.tables.flows: "many" is text, want a whole number, like 65536
x.yaml:8: agent.colour: unknown key, known here: first_payload, interfaces, midstream, on_exit, on_no_interface, pins, sweep, tables
x.yaml:10: agent.on_exit: given twice, first on line 9
x.yaml:12: correlator.stale: 1ms is not in 2s..1m0s
x.yaml:13: correlator.connections: 1 is not in 1024..16777216
x.yaml:15: a second document begins here; one file is one document`
	for range 20 {
		_, err := Parse("x.yaml", []byte(text))
		if err == nil || err.Error() != want {
			t.Fatalf("error\n%v\nwant\n%s", err, want)
		}
	}
}

func TestLongValuesAreCut(t *testing.T) {
	_, err := Parse("x.yaml", []byte("agent: {sweep: {every: "+strings.Repeat("x", 10_000)+"}}"))
	if err == nil || len(err.Error()) > 200 {
		t.Errorf("error %v, want one of at most 200 bytes", err)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.yaml")
	bad := filepath.Join(dir, "bad.yaml")
	large := filepath.Join(dir, "large.yaml")
	for name, text := range map[string]string{
		good:  "log: {level: debug}",
		bad:   "log: {level: 1}",
		large: "#" + strings.Repeat(" ", maxFile),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := Load(""); err != nil || !cmp.Equal(c, Default()) {
		t.Errorf(`Load("") = %v, %v, want the defaults`, c, err)
	}
	if c, err := Load(good); err != nil || c.Log.Level != LevelDebug {
		t.Errorf("Load(good) = %v, %v, want level debug", c, err)
	}
	for name, want := range map[string]string{
		bad:                          bad + ":1: log.level: 1 is a number",
		large:                        "read settings: read " + large + ": the file is too large: more than 1048576 bytes",
		dir:                          "read settings: open " + dir + ": refused: is a directory: a container engine makes such a folder",
		filepath.Join(dir, "absent"): "read settings: open " + filepath.Join(dir, "absent") + ": no such file",
	} {
		c, err := Load(name)
		if err == nil || !strings.HasPrefix(err.Error(), want) || !cmp.Equal(c, Config{}) {
			t.Errorf("Load(%s) = %v, %v, want the error %s", name, c, err, want)
		}
	}
}

// TestReadHint: what nobody may read says so; tests run as root, who may.
func TestReadHint(t *testing.T) {
	denied := &fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}
	if hint := readHint(denied); !strings.Contains(hint, "chmod a+r the file") {
		t.Errorf("the hint is %q", hint)
	}
	if hint := readHint(fs.ErrNotExist); hint != "" {
		t.Errorf("the hint is %q", hint)
	}
}

func TestSocketLength(t *testing.T) {
	for _, c := range []struct {
		bytes int
		ok    bool
	}{{maxSocket, true}, {maxSocket + 1, false}} {
		r := Default().Runner
		r.Socket = "/" + strings.Repeat("s", c.bytes-1)
		err := r.Validate()
		if (err == nil) != c.ok {
			t.Errorf("%d bytes: %v", c.bytes, err)
		}
	}
}
