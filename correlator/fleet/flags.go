package fleet

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"fivetuple/correlator/flow"
	"fivetuple/correlator/signal"
)

const (
	// MaxFlags is the longest value of flags that is read, in bytes: maxFlags of them, with all signals, are shorter.
	MaxFlags = 512 << 10
	// FlagsTTL is how long the list of a gateway's flags outlives the gateway: none of them counts for longer.
	FlagsTTL = maxAhead

	// maxFlags is how many sources a gateway holds flagged before the others; the strongest are told.
	maxFlags = 1000
	// maxAhead is how far ahead a flag counts, whatever its gateway says.
	maxAhead = time.Hour
	// flagAt is the score from which on a source is flagged, in thousandths: the watcher's.
	flagAt = 500
	// maxSignals is the longest list of signals, in bytes.
	maxSignals = 512
)

// Flag is a source that a gateway holds flagged.
type Flag struct {
	Address netip.Addr `json:"address"` // the remote address, IPv4 as IPv4
	Score   float64    `json:"score"`   // 0.5 to 1, thousandths
	Signals string     `json:"signals"` // names, separated by spaces; none: a person's word
	Origin  string     `json:"origin"`  // watcher, manual
	Since   int64      `json:"since"`   // milliseconds since 1970 in Redis' clock
	Until   int64      `json:"until"`
}

// The origins of a Flag.
const (
	originWatcher = "watcher"
	originManual  = "manual"
)

// Flags is the value of the key of flags, with all that a gateway holds flagged, and of its channel, with what has changed:
// Number counts the changes. Who hears one whose number is not the next has missed some, and reads the key. One without flags
// only says which change was the last.
type Flags struct {
	Head
	Instance string       `json:"instance"`
	Number   int64        `json:"number"`
	Flags    []Flag       `json:"flags"`
	Gone     []netip.Addr `json:"gone,omitempty"`
}

// newFlag returns what is told of a verdict.
func newFlag(address [16]byte, v *flow.Verdict, now Moment) Flag {
	f := Flag{
		Address: netip.AddrFrom16(address).Unmap(), Score: float64(min(v.Score, 1000)) / 1000, Origin: originWatcher,
		Signals: (signal.Set(v.Signals) & signal.All).String(), Since: now.toRedis(v.Since),
		Until: now.toRedis(min(v.Expires, now.Kernel+uint64(maxAhead))),
	}
	if v.Origin == flow.OriginManual {
		f.Origin = originManual
	}
	return f
}

// DecodeFlags reads a value of flags.
func DecodeFlags(text []byte) (f Flags, err error) {
	if len(text) > MaxFlags {
		return Flags{}, fmt.Errorf("%w: %d bytes", ErrDamaged, len(text))
	}
	if err := Decode(text, &f); err != nil {
		return Flags{}, err
	}
	return f, nil
}

// Valid says what no gateway can have said.
func (f *Flags) Valid() error {
	if err := checkInstance(f.Instance); err != nil {
		return err
	}
	if f.Number < 0 || f.Number >= maxTime {
		return fmt.Errorf("number: %d", f.Number)
	}
	if len(f.Flags) > maxFlags || len(f.Gone) > maxFlags {
		return fmt.Errorf("%d flags, %d gone, at most %d each", len(f.Flags), len(f.Gone), maxFlags)
	}
	for i := range f.Flags {
		if err := f.Flags[i].valid(); err != nil {
			return fmt.Errorf("flags[%d]: %w", i, err)
		}
	}
	for i, a := range f.Gone {
		if err := checkAddress(a); err != nil {
			return fmt.Errorf("gone[%d]: %w", i, err)
		}
	}
	return nil
}

func (f *Flag) valid() error {
	errs := []error{checkAddress(f.Address), checkTime("since", f.Since), checkTime("until", f.Until)}
	if !(f.Score >= flagAt/1000.0 && f.Score <= 1) {
		errs = append(errs, fmt.Errorf("score: %v is not in 0.5..1", f.Score))
	}
	if !isPlain(f.Signals, maxSignals) {
		errs = append(errs, errors.New("signals: no names"))
	}
	if f.Origin != originWatcher && f.Origin != originManual {
		errs = append(errs, errors.New("origin: neither watcher nor manual"))
	}
	return errors.Join(errs...)
}

// signals returns those that are known here. A person's word stands for all.
func (f *Flag) signals() signal.Set {
	if f.Origin == originManual {
		return signal.All
	}
	return f.Known()
}

// Known returns the signals that are known here: none for a person's word.
func (f *Flag) Known() signal.Set { return known(f.Signals) }

// known returns the signals of a list of names, without those that only a newer gateway knows.
func known(names string) (set signal.Set) {
	for name := range strings.FieldsSeq(names) {
		if s, ok := signal.Parse(name); ok {
			set |= signal.Of(s)
		}
	}
	return set
}

func checkAddress(a netip.Addr) error {
	if !a.IsValid() || a.Zone() != "" || a.Is4In6() || a.IsUnspecified() {
		return errors.New("address: not one of a host")
	}
	return nil
}
