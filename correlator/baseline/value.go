package baseline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unique"

	"fivetuple/correlator/sketch"
)

const (
	// valueVersion is the version of the values that are written and taken. What a member or a packed sketch means, and a
	// sketch's accuracy and bins, make a new one.
	valueVersion = 1
	// MaxPublished is the longest value that is taken, in bytes: the packed sketches in base64, and what is around them.
	MaxPublished = (int(Quantities)*maxQuantity+maxRate)*4/3 + 512
)

// maxHeard is more than the calls of a window, and minHeard less than a sketch of one weighs: what is made of such weights can
// be packed.
const maxHeard, minHeard = 1e12, 1e-6

// value is a closed window as a gateway tells it to others. Neither sources nor their hashes are in it.
type value struct {
	Version  int                       `json:"v"`
	Window   int64                     `json:"window"` // Options.Window, milliseconds
	Weight   float64                   `json:"weight"` // of its calls, as window.Weight
	Sketches [Quantities]sketch.Packed `json:"sketches"`
	Rate     sketch.Packed             `json:"rate"`
}

// heard is what another gateway says of a period.
type heard struct {
	value
	gateway unique.Handle[string]
	totals  [Quantities + 1]float64 // what each sketch weighs, the rate's last
	counts  float64                 // what it weighs here
}

var (
	errVersion = errors.New("of another version")
	errWindow  = errors.New("of windows of another length")
)

func encode(w *window, length time.Duration) []byte {
	text, err := json.Marshal(value{
		Version: valueVersion, Window: length.Milliseconds(), Weight: w.Weight, Sketches: w.Sketches, Rate: w.Rate,
	})
	if err != nil {
		panic(err) // numbers that are finite, and bytes
	}
	return text
}

// decode takes what another gateway has written: errVersion, errWindow, or ErrDamaged. What it takes has sketches that can be
// merged, and a weight that a window can have.
func decode(text []byte, length time.Duration) (*heard, error) {
	h := new(heard)
	if len(text) > MaxPublished {
		return nil, fmt.Errorf("%w: %d bytes", ErrDamaged, len(text))
	}
	if !bytes.HasPrefix(text, []byte(`{"v":1,`)) {
		if err := json.Unmarshal(text, &struct {
			Version *int `json:"v"`
		}{&h.Version}); err != nil || h.Version <= valueVersion {
			return nil, fmt.Errorf("%w: not a window", ErrDamaged)
		}
		return nil, errVersion
	}
	if err := strict(text, &h.value); err != nil {
		return nil, err
	}
	if h.Version != valueVersion || !(h.Weight > 0 && h.Weight < maxHeard) || len(h.Rate) > maxRate {
		return nil, fmt.Errorf("%w: not a window", ErrDamaged)
	}
	if h.Window != length.Milliseconds() {
		return nil, errWindow
	}
	for q := range Quantities + 1 {
		p := h.packed(q)
		err := p.ForEach(func(_ int, weight float64) { h.totals[q] += weight })
		if err != nil || q < Quantities && len(p) > maxQuantity || len(p) > 0 && h.totals[q] < minHeard {
			return nil, fmt.Errorf("%w: not a sketch", ErrDamaged)
		}
	}
	return h, nil
}

// packed returns the sketch of a quantity, or, of the number of quantities, that of the rate.
func (v *value) packed(q Quantity) sketch.Packed {
	if q == Quantities {
		return v.Rate
	}
	return v.Sketches[q]
}
