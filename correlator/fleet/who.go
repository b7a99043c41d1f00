package fleet

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

const (
	// MaxWho is the longest Who that is read, in bytes.
	MaxWho = 1 << 10
	// maxVersion is the longest name of a program's version, in bytes.
	maxVersion = 64
	// maxWindow and maxRoutes are beyond what a gateway can have set, and what it can know.
	maxWindow = 24 * time.Hour
	maxRoutes = 1 << 20
)

// Who is what a gateway says of itself. Its name is not in it: that is the key's.
type Who struct {
	Head
	// Instance is 16 random hex digits, new with each process: two that live at a time are two gateways of one name.
	Instance string `json:"instance"`
	// Version is the program's.
	Version string `json:"version"`
	// Started is when the process began, milliseconds since 1970 in Redis' clock.
	Started int64 `json:"started"`
	// Offset is how many milliseconds Redis' clock is ahead of the gateway's.
	Offset int64 `json:"offset_ms"`
	// Window is the length of the baselines' windows in milliseconds: those of other lengths cannot be merged.
	Window int64 `json:"window_ms"`
	// Routes is how many pairs of route and method it has learned.
	Routes int `json:"routes"`
	// SharedVerdicts is the setting.
	SharedVerdicts string `json:"shared_verdicts"`
}

// NewInstance names a process, by random bytes.
func NewInstance(random [8]byte) string { return hex.EncodeToString(random[:]) }

// Encode returns the value's text.
func (w Who) Encode() ([]byte, error) {
	w.Head = newHead()
	if err := w.Valid(); err != nil {
		return nil, fmt.Errorf("encode who: %w", err)
	}
	return Encode(w)
}

// DecodeWho reads what a gateway says of itself.
func DecodeWho(text []byte) (w Who, err error) {
	if len(text) > MaxWho {
		return Who{}, fmt.Errorf("%w: %d bytes", ErrDamaged, len(text))
	}
	if err := Decode(text, &w); err != nil {
		return Who{}, err
	}
	return w, nil
}

// Valid says what no gateway can have said.
func (w *Who) Valid() error {
	errs := []error{checkInstance(w.Instance), checkTime("started", w.Started)}
	if !isPlain(w.Version, maxVersion) {
		errs = append(errs, errors.New("version: not a name"))
	}
	if w.Offset <= -maxTime || w.Offset >= maxTime {
		errs = append(errs, fmt.Errorf("offset_ms: %d is no time", w.Offset))
	}
	if w.Window <= 0 || w.Window > maxWindow.Milliseconds() {
		errs = append(errs, fmt.Errorf("window_ms: %d is not in 1..%d", w.Window, maxWindow.Milliseconds()))
	}
	if w.Routes < 0 || w.Routes > maxRoutes {
		errs = append(errs, fmt.Errorf("routes: %d is not in 0..%d", w.Routes, maxRoutes))
	}
	switch w.SharedVerdicts {
	case VerdictsOff, VerdictsObserve, VerdictsEnforce:
	default:
		errs = append(errs, errors.New("shared_verdicts: not a setting"))
	}
	return errors.Join(errs...)
}

// checkInstance checks the name of a process.
func checkInstance(text string) error {
	if raw, err := hex.DecodeString(text); err != nil || len(raw) != len([8]byte{}) {
		return errors.New("instance: not 16 hex digits")
	}
	return nil
}
