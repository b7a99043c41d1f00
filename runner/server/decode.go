package server

import (
	"errors"
	"fmt"

	"github.com/api7/ext-plugin-proto/go/A6"
	ei "github.com/api7/ext-plugin-proto/go/A6/ExtraInfo"
	hreq "github.com/api7/ext-plugin-proto/go/A6/HTTPReqCall"
	hresp "github.com/api7/ext-plugin-proto/go/A6/HTTPRespCall"
	pc "github.com/api7/ext-plugin-proto/go/A6/PrepareConf"
)

// errMalformed means that a frame's payload is not what its type says.
var errMalformed = errors.New("malformed frame")

// entry is a name and a value. They lie in the frame: they hold as long as it does.
type entry struct {
	name, value []byte
}

// minPayload is the least that any table can be: the offset of its root, and the root's offset of its own table.
const minPayload = 8

// decoding turns the panic of FlatBuffers' accessors on an offset that points outside into an error. The accessors check
// nothing themselves, so that whatever is read of a frame is read in here, once, before anything is done with it.
func decoding(k kind, payload []byte, read func()) (err error) {
	if len(payload) < minPayload {
		return fmt.Errorf("%w: %v of %d bytes", errMalformed, k, len(payload))
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v of %d bytes: %v", errMalformed, k, len(payload), r)
		}
	}()
	read()
	return nil
}

// count checks a vector's length against the frame's: each of its entries takes four bytes at least.
func count(n int, payload []byte) int {
	if n < 0 || n > len(payload)/4 {
		panic(fmt.Sprintf("a list of %d entries", n))
	}
	return n
}

// list collects a list's entries. Nothing keeps them from lying over each other: together they are no longer than a frame,
// so that whoever copies them copies a bounded amount.
func list(into []entry, n int, payload []byte, get func(*A6.TextEntry, int) bool) []entry {
	var te A6.TextEntry
	size := 0
	for i := range count(n, payload) {
		if !get(&te, i) {
			continue
		}
		e := entry{te.Name(), te.Value()}
		if size += len(e.name) + len(e.value); size > MaxFrame {
			panic(fmt.Sprintf("a list of more than %d bytes", MaxFrame))
		}
		into = append(into, e)
	}
	return into
}

// prepared is what a PrepareConf says.
type prepared struct {
	key  []byte
	conf []entry // plugin name and configuration, in the order in which they run
}

func decodePrepareConf(payload []byte) (p prepared, err error) {
	err = decoding(kindPrepareConf, payload, func() {
		req := pc.GetRootAsReq(payload, 0)
		p.key = req.Key()
		p.conf = list(nil, req.ConfLength(), payload, req.Conf)
	})
	return p, err
}

// decodeRequest fills in what a HTTPReqCall says, over what an earlier call left.
func (r *request) decode(payload []byte) error {
	return decoding(kindHTTPReqCall, payload, func() {
		req := hreq.GetRootAsReq(payload, 0)
		r.id, r.token = req.Id(), req.ConfToken()
		r.srcIP, r.path = req.SrcIpBytes(), req.Path()
		r.method = req.Method()
		r.rawArgs = list(r.rawArgs, req.ArgsLength(), payload, req.Args)
		r.header.raw = list(r.header.raw, req.HeadersLength(), payload, req.Headers)
	})
}

// decode fills in what a HTTPRespCall says.
func (r *response) decode(payload []byte) error {
	return decoding(kindHTTPRespCall, payload, func() {
		req := hresp.GetRootAsReq(payload, 0)
		r.id, r.token, r.status = req.Id(), req.ConfToken(), int(req.Status())
		r.header.raw = list(r.header.raw, req.HeadersLength(), payload, req.Headers)
	})
}

// decodeAnswer returns the answer to a question. One without a result, for a variable that is not set, is nil.
func decodeAnswer(payload []byte) (result []byte, err error) {
	err = decoding(kindExtraInfo, payload, func() {
		result = ei.GetRootAsResp(payload, 0).ResultBytes()
	})
	return result, err
}
