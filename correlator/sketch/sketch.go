// Package sketch keeps quantiles of many values in little memory, so that those of several windows and of several gateways can be
// merged. It is pure.
package sketch

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/DataDog/sketches-go/ddsketch"
)

const (
	// Accuracy is by how much a quantile differs from the value at its rank, relative to that value.
	Accuracy = 0.01
	// MinValue bounds what is told apart: what is below is 0.
	MinValue = 1e-3
	// MaxValue bounds it above: 2.8 hours in microseconds, 10 GB. What is above is cut, so that a sketch has at most MaxBins
	// bins whatever it is fed.
	MaxValue  = 1e10
	lowestBin = -400
	// MaxBins is how many bins a sketch has at most.
	MaxBins = 1600
	// MaxPacked is the longest packed sketch that is taken, in bytes: two varints of at most three bytes for each bin. What Pack
	// makes has at most 4 KB: no more than units/2^7 bins have two bytes of units, and only wide gaps take two bytes.
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
