package plugins

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"fivetuple/correlator/signal"
)

// Values of guardConf.mode.
const (
	modeObserve = "observe"
	modeEnforce = "enforce"
)

const (
	minRetry, maxRetry = time.Second, 24 * time.Hour
	// maxExempt bounds the networks that each call is held against.
	maxExempt = 256
)

// guardConf is a route's configuration of packet-guard: JSON, all keys optional:
//
//	{"mode": "observe"|"enforce", "refuse_above": 0.9, "status": 429, "retry_after": "5s", "signals": ["retransmit",...],
//	 "exempt": ["10.0.0.0/8"], "expose": "upstream"|"none", "flag_above": 0.8}
type guardConf struct {
	enforce     bool
	refuseAbove float64
	status      int
	retryAfter  string     // seconds, as the header has them
	signals     signal.Set // which count
	exempt      []netip.Prefix
	silent      bool    // no header: the metrics have the answers
	flagAbove   float64 // as insightConf has it
	err         error   // the configuration is wrong: nothing is refused
	counts      atomic.Pointer[guardCounts]
}

// parseGuardConf reads the JSON text; a configuration that is wrong has nothing but the error in it.
func parseGuardConf(in []byte) (*guardConf, error) {
	c := &guardConf{refuseAbove: 0.9, status: 429, retryAfter: "5", signals: signal.All}
	if err := parseObject(in, c.set); err != nil {
		return &guardConf{err: err, silent: exposesNothing(in)}, err
	}
	return c, nil
}

func (c *guardConf) set(key string, value json.RawMessage) error {
	switch key {
	case "mode":
		mode := modeObserve
		err := choose(key, value, &mode, modeObserve, modeEnforce)
		c.enforce = mode == modeEnforce
		return err
	case "refuse_above":
		return c.setRefuseAbove(value)
	case "flag_above":
		return setFlagAbove(value, &c.flagAbove)
	case "status":
		return c.setStatus(value)
	case "retry_after":
		return c.setRetryAfter(value)
	case "signals":
		return c.setSignals(value)
	case "exempt":
		return c.setExempt(value)
	case "expose":
		expose := exposeUpstream
		err := choose(key, value, &expose, exposeUpstream, exposeNone)
		c.silent = expose == exposeNone
		return err
	}
	return fmt.Errorf("%s is not a key; keys are mode, refuse_above, status, retry_after, signals, exempt, expose, flag_above", quote([]byte(key)))
}

func (c *guardConf) setRefuseAbove(value json.RawMessage) error {
	score, ok := number(value)
	if !ok || score < 0 || score > 1 {
		return fmt.Errorf("refuse_above: %s is not a number in 0..1", quote(value))
	}
	c.refuseAbove = score
	return nil
}

func (c *guardConf) setStatus(value json.RawMessage) error {
	status, ok := number(value)
	if !ok || status < 400 || status > 599 || status != math.Trunc(status) {
		return fmt.Errorf("status: %s is not a whole number in 400..599", quote(value))
	}
	c.status = int(status)
	return nil
}

func (c *guardConf) setRetryAfter(value json.RawMessage) error {
	var text string
	err := json.Unmarshal(value, &text)
	after, parseErr := time.ParseDuration(text)
	if err != nil || parseErr != nil || after < minRetry || after > maxRetry || after%time.Second != 0 {
		return fmt.Errorf(`retry_after: %s is not whole seconds in "1s".."24h"`, quote(value))
	}
	c.retryAfter = strconv.Itoa(int(after / time.Second))
	return nil
}

func (c *guardConf) setSignals(value json.RawMessage) error {
	names, err := list("signals", value, "names")
	if err != nil {
		return err
	}
	c.signals = 0
	for i, name := range names {
		s, ok := signal.Parse(name)
		switch {
		case !ok:
			return fmt.Errorf("signals[%d]: %s is not one of %v", i, quote([]byte(name)), signal.All)
		case c.signals.Has(s):
			return fmt.Errorf("signals[%d]: %q is there twice", i, name)
		}
		c.signals |= signal.Of(s)
	}
	return nil
}

func (c *guardConf) setExempt(value json.RawMessage) error {
	networks, err := list("exempt", value, "networks")
	if err != nil {
		return err
	}
	if len(networks) > maxExempt {
		return fmt.Errorf("exempt: %d networks are more than %d", len(networks), maxExempt)
	}
	for i, text := range networks {
		network, err := netip.ParsePrefix(text)
		if err != nil || network != network.Masked() || network.Addr().Is4In6() {
			return fmt.Errorf("exempt[%d]: %s is not a network, like 10.0.0.0/8 or 2001:db8::/32", i, quote([]byte(text)))
		}
		c.exempt = append(c.exempt, network)
	}
	return nil
}

// exempts says whether calls from a peer are never refused.
func (c *guardConf) exempts(peer netip.Addr) bool {
	return slices.ContainsFunc(c.exempt, func(n netip.Prefix) bool { return n.Contains(peer) })
}

// ConfError returns what is wrong with the configuration; nil if nothing is.
func (c *guardConf) ConfError() error { return c.err }
