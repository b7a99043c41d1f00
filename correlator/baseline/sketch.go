package baseline

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/DataDog/sketches-go/ddsketch"
)

const (
	// accuracy is by how much a quantile differs from the value at its rank, relative to that value.
	accuracy = 0.01
	// minValue and maxValue bound what is told apart: microseconds up to 2.8 hours, bytes up to 10 GB, calls per second.
	// What is below is 0, what is above is cut. So a sketch has at most maxBins bins whatever it is fed.
	minValue, maxValue = 1e-3, 1e10
	lowestBin, maxBins = -400, 1600
)

// sketch is a DDSketch (Masson, Rim, Lee 2019) with a bounded number of bins.
type sketch struct{ *ddsketch.DDSketch }

func newSketch() sketch {
	s, err := ddsketch.LogCollapsingLowestDenseDDSketch(accuracy, maxBins)
	if err != nil {
		panic(err) // the accuracy is a constant in its range
	}
	return sketch{s}
}

// add adds a value with a weight.
func (s sketch) add(value, weight float64) {
	if value < minValue {
		value = 0
	}
	_ = s.AddWithCount(min(value, maxValue), weight) // its errors are those of values that no mapping has
}

// quantiles returns the median and the 99th percentile; both 0 if there is less than a weight.
func (s sketch) quantiles(atLeast float64) (r Range) {
	if s.GetCount() < max(atLeast, 1) {
		return r
	}
	if v, err := s.GetValuesAtQuantiles([]float64{0.5, 0.99}); err == nil {
		r = Range{P50: v[0], P99: max(v[1], 1)}
	}
	return r
}

// packed is a sketch that never changes again, in some hundred bytes: the weight of one unit (float64), the zeros in units,
// and for each bin that has any its distance from the one before and its units, as varints. Packed sketches of the same
// quantity can be merged: those of other windows, and those of other gateways.
type packed []byte

// units is how many of them make a whole sketch; what a bin has is rounded to them.
const units = 1 << 16

func (s sketch) pack() packed {
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

// merge adds a packed sketch. On an error, which only what was read from a file can give, parts of it may have been added.
func (s sketch) merge(p packed) error {
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
	s.add(0, float64(zeros)*unit)
	for bin := uint64(0); len(rest) > 0; {
		var step, n uint64
		step, rest, err = uvarint(rest)
		if err == nil {
			n, rest, err = uvarint(rest)
		}
		if bin += step; err != nil || step == 0 || bin >= maxBins || n == 0 {
			return errSketch
		}
		s.GetPositiveValueStore().AddWithCount(lowestBin+int(bin), float64(n)*unit) //nolint:gosec // below maxBins
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
