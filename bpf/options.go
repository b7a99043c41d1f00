package bpf

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fivetuple/correlator/flow"
)

// Options are the agent's settings, the section `agent` of fivetuple.yaml.
type Options struct {
	// Interfaces are the names, or shell patterns of names, of the interfaces to attach to. A pattern never
	// picks a port of a bond or a bridge whose master it picks too; a plain name is always taken. "listener:PORT" stands
	// for the interfaces that carry the addresses on which a socket listens on that TCP port.
	Interfaces []string `koanf:"interfaces"`
	// Pins says where the tables can be found, and who may read them.
	Pins PinOptions `koanf:"pins"`
	// Tables are the capacities, in entries.
	Tables TableOptions `koanf:"tables"`
	// Midstream says which connections older than the program get a record: MidstreamSocket or MidstreamAny.
	Midstream string `koanf:"midstream"`
	// FirstPayload says what is kept of the first payload of each direction: FirstPayloadKeep or FirstPayloadOff.
	FirstPayload string `koanf:"first_payload"`
	// Sweep says when records are removed.
	Sweep SweepOptions `koanf:"sweep"`
	// OnExit says what the agent leaves behind: ExitKeep or ExitRemove.
	OnExit string `koanf:"on_exit"`
	// OnNoInterface says what the agent does when no interface but the loopback has been left for 10 s: NoInterfaceWait or
	// NoInterfaceExit.
	OnNoInterface string `koanf:"on_no_interface"`
}

// PinOptions say where the pinned tables are.
type PinOptions struct {
	// Path is an absolute path on a BPF file system; one is mounted there if there is none.
	Path string `koanf:"path"`
	// Mode is the octal file mode of the pins: "0600" (the agent only), "0640" (its group may read) or "0644" (every
	// local user may read). The owner always writes: without CAP_DAC_OVERRIDE the next agent could not open the pins.
	Mode string `koanf:"mode"`
	// Group is the name or number of the group that may read; empty: the agent's own.
	Group string `koanf:"group"`
}

// TableOptions are capacities in entries; each is allocated when the agent starts.
type TableOptions struct {
	// Flows is the number of TCP connections with a record; when it is full, new ones are refused and counted.
	Flows uint32 `koanf:"flows"`
	// HalfOpen is the number of connections in their handshake; the oldest make room.
	HalfOpen uint32 `koanf:"half_open"`
	// UDP is the number of UDP flows; the oldest make room.
	UDP uint32 `koanf:"udp"`
	// Sources is the number of remote addresses whose SYNs, handshakes, resets and malformed packets are counted; the oldest make room.
	Sources uint32 `koanf:"sources"`
	// Holes is the number of connections' directions at a time of which missing bytes are remembered; when it is full,
	// what fills others counts as retransmitted.
	Holes uint32 `koanf:"holes"`
	// Verdicts is the number of addresses and listeners that something is held against; when it is full, more are refused.
	Verdicts uint32 `koanf:"verdicts"`
}

// capacities returns those that the program fills, in the order of enum table.
func (t TableOptions) capacities() [flow.Tables]uint32 {
	return [flow.Tables]uint32{
		flow.TableFlows: t.Flows, flow.TableHalfOpen: t.HalfOpen, flow.TableUDP: t.UDP,
		flow.TableSources: t.Sources, flow.TableHoles: t.Holes,
	}
}

// SweepOptions say when the agent removes records.
type SweepOptions struct {
	// Every is the time between two sweeps.
	Every time.Duration `koanf:"every"`
	// Closed is how long a closed connection's record stays, so that late readers find it.
	Closed time.Duration `koanf:"closed"`
	// Idle is how long a connection may be silent before its record goes.
	Idle time.Duration `koanf:"idle"`
}

// The values of Options.Midstream.
const (
	MidstreamSocket = "socket" // only where the host has an established socket for it
	MidstreamAny    = "any"    // always: for forwarded traffic and replays
)

// The values of Options.FirstPayload.
const (
	FirstPayloadKeep = "keep" // up to 16 bytes
	FirstPayloadOff  = "off"  // which protocol they begin, and no byte
)

// The values of Options.OnExit.
const (
	ExitKeep   = "keep"   // programs and tables stay: a restart misses no packet
	ExitRemove = "remove" // nothing stays
)

// The values of Options.OnNoInterface.
const (
	NoInterfaceWait = "wait" // for one
	NoInterfaceExit = "exit" // so that a container manager starts the agent again, in the network namespace that is there now
)

// Bounds of the settings.
const (
	minEntries, maxEntries = 1024, 16 << 20
	maxInterfaces          = 64
)

// Validate reports the settings that are out of their range, by key, value and range.
func (o Options) Validate() error {
	return errors.Join(
		o.validateInterfaces(),
		o.Pins.validate(),
		entries("tables.flows", o.Tables.Flows),
		entries("tables.half_open", o.Tables.HalfOpen),
		entries("tables.udp", o.Tables.UDP),
		entries("tables.sources", o.Tables.Sources),
		entries("tables.holes", o.Tables.Holes),
		entries("tables.verdicts", o.Tables.Verdicts),
		oneOf("midstream", o.Midstream, MidstreamSocket, MidstreamAny),
		oneOf("first_payload", o.FirstPayload, FirstPayloadKeep, FirstPayloadOff),
		duration("sweep.every", o.Sweep.Every, 100*time.Millisecond, time.Minute),
		duration("sweep.closed", o.Sweep.Closed, time.Second, time.Hour),
		duration("sweep.idle", o.Sweep.Idle, time.Minute, 7*24*time.Hour),
		oneOf("on_exit", o.OnExit, ExitKeep, ExitRemove),
		oneOf("on_no_interface", o.OnNoInterface, NoInterfaceWait, NoInterfaceExit),
	)
}

func (o Options) validateInterfaces() error {
	if n := len(o.Interfaces); n == 0 || n > maxInterfaces {
		return fmt.Errorf("interfaces: %d names given, range 1..%d", n, maxInterfaces)
	}
	for i, pattern := range o.Interfaces {
		if _, ok, err := listenerPort(pattern); ok {
			if err != nil {
				return fmt.Errorf("interfaces[%d]: %w", i, err)
			}
			continue
		}
		if _, err := path.Match(pattern, "eth0"); err != nil || pattern == "" || strings.Contains(pattern, "/") {
			return fmt.Errorf("interfaces[%d]: %q is not an interface name or a shell pattern of one", i, pattern)
		}
	}
	return nil
}

func (p PinOptions) validate() error {
	if !filepath.IsAbs(p.Path) || filepath.Clean(p.Path) == "/" {
		return fmt.Errorf("pins.path: %q is not an absolute path below /", p.Path)
	}
	_, err := p.mode()
	return err
}

// mode returns the pins' file mode.
func (p PinOptions) mode() (os.FileMode, error) {
	switch p.Mode {
	case "0600":
		return 0o600, nil
	case "0640":
		return 0o640, nil
	case "0644":
		return 0o644, nil
	}
	err := fmt.Errorf(`pins.mode: %q is not one of "0600", "0640", "0644"`, p.Mode)
	if old, ok := strings.CutPrefix(p.Mode, "04"); ok && slices.Contains([]string{"00", "40", "44"}, old) {
		err = fmt.Errorf(`%w: use "06%s", with which the agent can open its own tables again after a restart`, err, old)
	}
	return 0, err
}

func entries(key string, n uint32) error {
	if n < minEntries || n > maxEntries {
		return fmt.Errorf("%s: %d is not in %d..%d entries", key, n, minEntries, maxEntries)
	}
	return nil
}

func duration(key string, d, low, high time.Duration) error {
	if d < low || d > high {
		return fmt.Errorf("%s: %v is not in %v..%v", key, d, low, high)
	}
	return nil
}

func oneOf(key, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s: %q is not one of %s", key, value, strings.Join(allowed, ", "))
}
