package sketch

import (
	"encoding/binary"
	"errors"
	"math"
)

// Bins are numbered by value: bin 0 is what is below MinValue, and 1 to MaxBins-1 are those of a sketch's accuracy.

var errSketch = errors.New("not a sketch")

// Bin returns the bin that a value is in.
func (s Sketch) Bin(value float64) int {
	if !(value >= MinValue) {
		return 0
	}
	return s.Index(min(value, MaxValue)) - lowestBin
}

// AddBin adds a weight to a bin.
func (s Sketch) AddBin(bin int, weight float64) {
	if bin == 0 {
		s.Add(0, weight)
		return
	}
	s.GetPositiveValueStore().AddWithCount(lowestBin+bin, weight)
}

// Merge adds a packed sketch. On an error, which only what was read from elsewhere can give, parts of it may have been added.
func (s Sketch) Merge(p Packed) error { return p.ForEach(s.AddBin) }

// ForEach visits the bins that have a weight, in their order. On an error it may have visited some.
func (p Packed) ForEach(visit func(bin int, weight float64)) error {
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
	if zeros > 0 {
		visit(0, float64(zeros)*unit)
	}
	for bin := uint64(0); len(rest) > 0; {
		var step, n uint64
		step, rest, err = uvarint(rest)
		if err == nil {
			n, rest, err = uvarint(rest)
		}
		if bin += step; err != nil || step == 0 || bin >= MaxBins || n == 0 {
			return errSketch
		}
		visit(int(bin), float64(n)*unit) //nolint:gosec // below MaxBins
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
