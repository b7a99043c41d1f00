package report

import (
	"errors"
	"fmt"

	"fivetuple/correlator"
	"fivetuple/correlator/fleet"
	"fivetuple/correlator/sketch"
)

// Value is a route's figures in a bucket, as other gateways can read and merge them. It never changes.
type Value struct {
	Counts
	Times [times]sketch.Packed `json:"times_us"` // microseconds, in the order of the times
}

// text is a value as it is written: JSON, sketches in base64.
type text struct {
	fleet.Head
	Value
}

// MaxValue is the longest value in bytes. Times in whole microseconds up to maxTime have at most some 970 bins, of three to four bytes each.
const MaxValue = 32 << 10

// maxNumber is beyond every number in a value: what a JSON number holds exactly, whoever reads it.
const maxNumber = 1 << 53

// Encode returns a value's text.
func (v *Value) Encode() ([]byte, error) {
	return fleet.Encode(text{Head: fleet.Head{V: fleet.Version}, Value: *v})
}

// Decode reads what another gateway has written; nothing in it is trusted. The error is fleet.ErrVersion or fleet.ErrDamaged.
func Decode(from []byte) (*Value, error) {
	if len(from) > MaxValue {
		return nil, fmt.Errorf("%w: %d bytes, a value has at most %d", fleet.ErrDamaged, len(from), MaxValue)
	}
	t := new(text)
	if err := fleet.Decode(from, t); err != nil {
		return nil, err
	}
	return &t.Value, nil
}

var errNumbers = errors.New("its numbers contradict each other")

// Valid has each number in its range, and none that says more calls than there are: so no value weighs more than its calls.
func (t *text) Valid() error {
	c := &t.Counts
	for _, n := range c.numbers() {
		if *n >= maxNumber {
			return fmt.Errorf("%d is too large", *n)
		}
	}
	matched := uint64(0)
	for _, n := range c.Match {
		matched += n
	}
	if c.Calls == 0 || matched != c.Calls || c.Cut > c.Calls || c.Flagged > c.Calls || c.Timed > c.Match[correlator.MatchExchange] ||
		c.Request.Payload > c.Request.Bytes || c.Response.Payload > c.Response.Bytes {
		return errNumbers
	}
	for _, n := range c.Flags {
		if n > c.Flagged {
			return errNumbers
		}
	}
	return checkTimes(&t.Times, c.Timed)
}

// weightError is by how much a packed sketch may weigh more than its values: each bin has at least one of 65,536 units.
const weightError = sketch.MaxBins / float64(1<<16)

// checkTimes has each sketch readable, and none heavier than the calls that have times.
func checkTimes(all *[times]sketch.Packed, timed uint64) error {
	s := sketch.New()
	for _, p := range all {
		s.Clear()
		if err := s.Merge(p); err != nil {
			return err
		}
		if s.GetCount() > float64(timed)*(1+weightError) {
			return errNumbers
		}
	}
	return nil
}
