package calls

import (
	"encoding/binary"
	"math"

	"github.com/cespare/xxhash/v2"

	"fivetuple/correlator"
)

// sampler picks a share of the connections: all calls of a connection are in, or none, whatever became of them and
// whichever process sees them. A trace id has no say, because the client chooses it.
type sampler struct {
	all   bool
	below uint64
}

func newSampler(share float64) sampler {
	return sampler{all: share >= 1, below: uint64(math.Ldexp(min(max(share, 0), 1), 53)) << 11}
}

// picks says whether the record's connection is in the sample.
func (s sampler) picks(r *correlator.CallRecord) bool {
	if s.all {
		return true
	}
	key := r.Key()
	var id [16 + 16 + 2 + 2 + 8]byte
	copy(id[0:], key.Local[:])
	copy(id[16:], key.Remote[:])
	binary.BigEndian.PutUint16(id[32:], key.LocalPort)
	binary.BigEndian.PutUint16(id[34:], key.RemotePort)
	binary.BigEndian.PutUint64(id[36:], r.Connection)
	return xxhash.Sum64(id[:]) < s.below
}
