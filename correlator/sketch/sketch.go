// Package sketch keeps quantiles of many values in little memory, so that those of several windows and of several gateways can be
// merged. It is pure.
package sketch

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/DataDog/sketches-go/ddsketch"
)

const (
	// Accuracy is by how much a quantile differs from the value at its rank, relative to that value.
	Accuracy = 0.01
	// MinValue and MaxValue bound what is told apart: microseconds up to 2.8 hours, bytes up to 10 GB, calls per second.
	// What is below is 0, what is above is cut. So a sketch has at most MaxBins bins whatever it is fed.
	MinValue, MaxValue = 1e-3, 1e10
	lowestBin          = -400
	// MaxBins is how many bins a sketch has at most.
	MaxBins = 1600
	// MaxPacked is the longest packed sketch, in bytes: two varints of at most three bytes for each bin.
	MaxPacked = 16 + 6*MaxBins
)

// Sketch is a DDSketch (Masson, Rim, Lee 2019) with a bounded number of bins.
type Sketch struct{ *ddsketch.DDSketch }

// New returns an empty sketch.
func New() Sketch {
	s, err := ddsketch.LogCollapsingLowestDenseDDSketch(Accuracy, MaxBins)
	if err != nil {
		panic(err) // the accuracy is a constant in its range
	}
	return Sketch{s}
}

// Add adds a value with a weight.
func (s Sketch) Add(value, weight float64) {
	if value < MinValue {
		value = 0
	}
	_ = s.AddWithCount(min(value, MaxValue), weight) // its errors are those of values that no mapping has
}

// Quantiles returns the values at some quantiles, 0 to 1 in their order; false if nothing was added.
func (s Sketch) Quantiles(at ...float64) ([]float64, bool) {
	values, err := s.GetValuesAtQuantiles(at)
	return values, err == nil
}

// Packed is a sketch that never changes again, in some hundred bytes: the weight of one unit (float64), the zeros in units,
// and for each bin that has any its distance from the one before and its units, as varints. Packed sketches of the same
// quantity can be merged: those of other windows, and those of other gateways.
type Packed []byte

// units is how many of them make a whole sketch; what a bin has is rounded to them.
const units = 1 << 16

// Pack returns the sketch as it is now.
func (s Sketch) Pack() Packed {
	total := s.GetCount()
	if total <= 0 {
		return nil
	}
	unit := total / units
	inUnits := func(weight float64) uint64 { return uint64(max(math.Round(weight/unit), 1)) }
	p := binary.LittleEndian.AppendUint64(nil, math.Float64bits(unit))
	zeros := uint64(0)
	if zero := s.GetZeroCount(); zero > 0 {
		zeros = inUnits(zero)
	}
	p = binary.AppendUvarint(p, zeros)
	last := lowestBin
	s.GetPositiveValueStore().ForEach(func(bin int, weight float64) bool {
		p = binary.AppendUvarint(p, uint64(bin-last)) //nolint:gosec // bins come in their order, above lowestBin
		p = binary.AppendUvarint(p, inUnits(weight))
		last = bin
		return false
	})
	return slices.Clip(p)
}

var errSketch = errors.New("not a sketch")

// Merge adds a packed sketch. On an error, which only what was read from a file can give, parts of it may have been added.
func (s Sketch) Merge(p Packed) error {
	if len(p) == 0 {
		return nil
	}
	if len(p) < 9 {
		return errSketch
	}
	unit := math.Float64frombits(binary.LittleEndian.Uint64(p))
	if !(unit > 0 && unit < 1e12) {
		return errSketch
	}
	zeros, rest, err := uvarint(p[8:])
	if err != nil {
		return err
	}
	s.Add(0, float64(zeros)*unit)
	for bin := uint64(0); len(rest) > 0; {
		var step, n uint64
		step, rest, err = uvarint(rest)
		if err == nil {
			n, rest, err = uvarint(rest)
		}
		if bin += step; err != nil || step == 0 || bin >= MaxBins || n == 0 {
			return errSketch
		}
		s.GetPositiveValueStore().AddWithCount(lowestBin+int(bin), float64(n)*unit) //nolint:gosec // below MaxBins
	}
	return nil
}

// uvarint takes a number of units or bins off.
func uvarint(p []byte) (n uint64, rest []byte, err error) {
	n, length := binary.Uvarint(p)
	if length <= 0 || n > 2*units {
		return 0, nil, errSketch
	}
	return n, p[length:], nil
}
