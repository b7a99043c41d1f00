// Package conf holds the configuration files that are used as they are, and their strict loaders: fivetuple.yaml,
// which is both the documentation of every setting and its default, and APISIX's config.yaml and apisix.yaml.
//
// Nothing is guessed. What is wrong in a file is reported all at once, one problem a line, in the file's order:
//
//	fivetuple.yaml:7: agent.tables.flows: 12 is not in 1024..16777216 entries
package conf

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	"fivetuple/bpf"
	"fivetuple/conf/safefile"
	"fivetuple/correlator"
	"fivetuple/correlator/baseline"
	"fivetuple/correlator/fleet"
	"fivetuple/correlator/store"
	"fivetuple/correlator/watch"
)

//go:embed fivetuple.yaml
var defaultFile []byte

// defaultName stands for the embedded file in messages.
const defaultName = "built-in fivetuple.yaml"

// maxFile is the largest file taken, in bytes; a larger one is refused.
const maxFile = 1 << 20

// Config are all settings; the sections of fivetuple.yaml. The keys are the tags' values.
type Config struct {
	// Agent is what `fivetuple agent` needs.
	Agent bpf.Options `koanf:"agent"`
	// Watch is what the agent judges addresses by.
	Watch watch.Options `koanf:"watch"`
	// Correlator is how a call finds its record.
	Correlator correlator.Options `koanf:"correlator"`
	// Baseline is what is learned of finished calls.
	Baseline baseline.Options `koanf:"baseline"`
	// Signals is what is made of what is not normal.
	Signals Signals `koanf:"signals"`
	// Runner is what `fivetuple run` needs.
	Runner Runner `koanf:"runner"`
	// Calls is what is written of finished calls.
	Calls Calls `koanf:"calls"`
	// Metrics is where the runner's figures are read.
	Metrics Metrics `koanf:"metrics"`
	// Redis is how the server is reached that gateways share.
	Redis store.Options `koanf:"redis"`
	// Fleet is what gateways tell each other there.
	Fleet fleet.Options `koanf:"fleet"`
	// Report is what the runner keeps for reports.
	Report Report `koanf:"report"`
	// Log is shared by both.
	Log Log `koanf:"log"`
}

// Default returns the settings of the embedded fivetuple.yaml.
func Default() Config {
	c, err := parse(Config{}, defaultName, defaultFile)
	if err != nil {
		panic(err) // the file is part of the program; a test reads it
	}
	return c
}

// DefaultFile returns the text of the embedded fivetuple.yaml.
func DefaultFile() []byte { return slices.Clone(defaultFile) }

// Load returns the default settings with the keys that the file gives, or the defaults alone if file is "".
// Text like $HOME is taken as it stands. On error the Config is zero and the error names everything that is wrong.
func Load(file string) (Config, error) {
	if file == "" {
		return Default(), nil
	}
	text, err := safefile.Read(file, maxFile)
	if err != nil {
		return Config{}, fmt.Errorf("read settings: %w%s", err, readHint(err))
	}
	return Parse(file, text)
}

// readHint returns what to do about settings that cannot be read, where the system's error does not say it: in a container the
// file is another machine's part, with owners and modes that do not show.
func readHint(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf(": user %d may not read it: chmod a+r the file, and a+x the folders above it; a container that mounts it must be "+
			"started again then", os.Geteuid())
	case errors.Is(err, syscall.EISDIR):
		return ": a container engine makes such a folder where a file that it is to mount does not exist: remove the folder, and put the file there"
	}
	return ""
}

// Parse is Load for a text that is already in memory; name stands for the file in messages.
func Parse(name string, text []byte) (Config, error) { return parse(Default(), name, text) }

// Validate reports every setting that is out of its range, by key, value and range.
func (c Config) Validate() error {
	return errors.Join(
		within("agent", c.Agent.Validate()),
		within("watch", c.Watch.Validate()),
		within("correlator", c.Correlator.Validate()),
		within("baseline", c.Baseline.Validate()),
		within("signals", c.Signals.Validate()),
		within("runner", c.Runner.Validate()),
		within("calls", c.Calls.Validate()),
		within("metrics", c.Metrics.Validate()),
		within("redis", c.Redis.Validate()),
		within("fleet", c.Fleet.Validate()),
		within("report", c.Report.Validate()),
		within("log", c.Log.Validate()),
		c.validateQuiet(),
		c.validateFleet(),
	)
}

// validateQuiet reports a runner that would look at closed connections only after the agent has removed their records.
func (c Config) validateQuiet() error {
	const sweep = time.Second // between two of the runner's
	if latest := c.Correlator.Quiet*5/4 + sweep; latest > c.Agent.Sweep.Closed {
		return fmt.Errorf("correlator.quiet: %v: a closed connection is looked at within %v, and agent.sweep.closed removes it after %v",
			c.Correlator.Quiet, latest, c.Agent.Sweep.Closed)
	}
	return nil
}

func parse(base Config, name string, text []byte) (Config, error) {
	d := decode(name, text, &base)
	d.check(base.Validate())
	if err := d.err(); err != nil {
		return Config{}, err
	}
	return base, nil
}
