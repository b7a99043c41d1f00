package baseline

import (
	"errors"

	"fivetuple/correlator/sketch"
)

// The file is text, a JSON value a line: the header, the keys (the one called last first), and the trailer. A version is
// what lines and packed sketches mean, with the sketches' accuracy and bins; what changes any of them makes a new one, and
// the older ones go on being read.
const (
	formatName = "fivetuple-baseline"
	// Version is the version of the format that is written.
	Version = 1

	// maxLine is the longest line that is read, in bytes.
	maxLine = 4 << 20
	// maxQuantity and maxRate are the longest packed sketches that are read, in bytes: two varints of at most three bytes for
	// each bin, and a value of a sample fills one bin.
	maxQuantity, maxRate = 16 + 6*sampleCalls, 16 + 6*sketch.MaxBins
)

var (
	// ErrDamaged means that a file is not what Save has written.
	ErrDamaged = errors.New("damaged")
	// ErrNewer means that a file was written by a newer program, in a version that this one does not know.
	ErrNewer = errors.New("of a newer version")
)

// fileHeader is the first line. Salt makes the hashes of single sources comparable.
type fileHeader struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Salt    uint64 `json:"salt"`
}

// fileKey is a line of a key. W is a slice to be written, and an array to be read: what a line takes in memory is bounded.
type fileKey[W []fileWindow | [maxWindows]fileWindow] struct {
	Route   string `json:"route"`
	Method  string `json:"method"`
	Shared  bool   `json:"shared,omitempty"`
	Called  int64  `json:"called"` // last, wall clock, nanoseconds since 1970
	Steps   int    `json:"steps"`
	Usual   Usual  `json:"usual"`
	Windows W      `json:"windows"` // the oldest first
}

type fileWindow struct {
	From     int64              `json:"from"` // wall clock, nanoseconds since 1970
	To       int64              `json:"to"`
	Weight   float64            `json:"weight"`
	Sources  int                `json:"sources"`
	Sole     uint64             `json:"sole,omitempty"`
	Sketches [Quantities][]byte `json:"sketches"`
	Rate     []byte             `json:"rate"`
}

// fileTrailer is the last line: the number of keys, and xxHash64 of all lines before it.
type fileTrailer struct {
	Keys int    `json:"keys"`
	Sum  uint64 `json:"sum"`
}
