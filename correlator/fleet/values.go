package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Version is the version of all values. What changes the meaning of any makes a new one; those of another version are
// skipped, so that a fleet can be updated one gateway after the other.
const Version = 1

var (
	// ErrVersion means that a value was written by another program, in a version that this one does not know.
	ErrVersion = errors.New("of an unknown version")
	// ErrDamaged means that a value is not what a gateway writes.
	ErrDamaged = errors.New("damaged value")
)

const (
	// maxTime is beyond every time in a value, in milliseconds since 1970: what a JSON number holds exactly.
	maxTime = 1 << 53
	// maxDigits is the longest version.
	maxDigits = 9
)

// Head is what every value begins with.
type Head struct {
	V int `json:"v"`
}

// newHead returns the head of a value to be written.
func newHead() Head { return Head{V: Version} }

// Encode returns a value's text. The value has to begin with a Head of this version.
func Encode(x any) ([]byte, error) {
	text, err := json.Marshal(x)
	if err != nil {
		return nil, fmt.Errorf("encode value: %w", err)
	}
	if err := checkVersion(text); err != nil {
		return nil, fmt.Errorf("encode value: %w", err)
	}
	return text, nil
}

// Decode reads a value, strictly, and has it check itself by its method Valid, if it has one. The error is ErrVersion or
// ErrDamaged. Whoever reads a value bounds its length before.
func Decode(text []byte, x any) error {
	if err := checkVersion(text); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(x)
	if err == nil && d.InputOffset() != int64(len(text)) {
		err = errors.New("more than one value")
	}
	if v, ok := x.(interface{ Valid() error }); ok && err == nil {
		err = v.Valid()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// checkVersion looks at the first member alone: of another version nothing else is known.
func checkVersion(text []byte) error {
	rest, ok := bytes.CutPrefix(text, []byte(`{"v":`))
	end := bytes.IndexAny(rest, ",}")
	if !ok || end < 1 {
		return fmt.Errorf("%w: it does not begin with a version", ErrDamaged)
	}
	v, err := strconv.ParseUint(string(rest[:min(end, maxDigits)]), 10, 32)
	if err != nil || end > maxDigits {
		return fmt.Errorf("%w: its version is no number", ErrDamaged)
	}
	if v != Version {
		return fmt.Errorf("%w: %d, this program knows %d", ErrVersion, v, Version)
	}
	return nil
}

// checkTime checks a time in milliseconds since 1970.
func checkTime(name string, ms int64) error {
	if ms < 0 || ms >= maxTime {
		return fmt.Errorf("%s: %d is no time", name, ms)
	}
	return nil
}

// isPlain says whether a text is printable ASCII of at most so many bytes: what can be shown, and logged, as it is.
func isPlain(text string, most int) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return len(text) <= most
}
