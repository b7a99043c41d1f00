package server

import (
	"errors"
	"fmt"
	"slices"

	"github.com/api7/ext-plugin-proto/go/A6"
	ei "github.com/api7/ext-plugin-proto/go/A6/ExtraInfo"
	hreq "github.com/api7/ext-plugin-proto/go/A6/HTTPReqCall"
	hresp "github.com/api7/ext-plugin-proto/go/A6/HTTPRespCall"
	pc "github.com/api7/ext-plugin-proto/go/A6/PrepareConf"
	flatbuffers "github.com/google/flatbuffers/go"
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
func decoding(k kind, payload []byte, read func(payload []byte)) (err error) {
	if len(payload) < minPayload {
		return fmt.Errorf("%w: %v of %d bytes", errMalformed, k, len(payload))
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v of %d bytes: %v", errMalformed, k, len(payload), r)
		}
	}()
	read(slices.Clip(payload)) // slicing goes up to the capacity, where other frames' bytes are
	return nil
}

// count checks a vector's length against the frame's: each of its entries takes four bytes at least.
func count(n int, payload []byte) int {
	if n < 0 || n > len(payload)/4 {
		panic(fmt.Sprintf("a list of %d entries", n))
	}
	return n
}

// maxEntries bounds the entries that are read of one list: APISIX sends at most 100 headers and 100 arguments of a request. What
// is beyond it is left as it is, as what APISIX itself leaves out.
const maxEntries = 1000

// few returns how many entries of a list are read, and how many are left out.
func few(n int, payload []byte) (read, left int) {
	n = count(n, payload)
	read = min(n, maxEntries)
	return read, n - read
}

// weight is how many bytes of a frame its entries may still have. Nothing keeps them from lying over each other: together they are no
// longer than the frame, so that whoever copies them copies no more than has come.
type weight int

func (w *weight) add(e entry) entry {
	if *w -= weight(len(e.name) + len(e.value)); *w < 0 {
		panic("entries that are longer than the frame")
	}
	return e
}

// prepared is what a PrepareConf says.
type prepared struct {
	key  []byte
	conf []entry // plugin name and configuration, in the order in which they run
}

func decodePrepareConf(payload []byte) (p prepared, err error) {
	err = decoding(kindPrepareConf, payload, func(payload []byte) {
		req := pc.GetRootAsReq(payload, 0)
		p.key = req.Key()
		var te A6.TextEntry
		w := weight(len(payload))
		n, left := few(req.ConfLength(), payload)
		if left > 0 {
			p.conf = []entry{{}} // as one that is too long
			return
		}
		for i := range n {
			if req.Conf(&te, i) {
				p.conf = append(p.conf, w.add(entry{te.Name(), te.Value()}))
			}
		}
	})
	return p, err
}

// decode fills in what a HTTPReqCall says, over what an earlier call left.
func (r *request) decode(payload []byte) error {
	return decoding(kindHTTPReqCall, payload, func(payload []byte) {
		var req hreq.Req // on the stack, which GetRootAsReq's is only where it is inlined
		req.Init(payload, flatbuffers.GetUOffsetT(payload))
		r.id, r.token = req.Id(), req.ConfToken()
		r.srcIP, r.path = req.SrcIpBytes(), req.Path()
		r.method = req.Method()
		var te A6.TextEntry
		w := weight(len(payload))
		args, argsLeft := few(req.ArgsLength(), payload)
		headers, headersLeft := few(req.HeadersLength(), payload)
		r.left = argsLeft + headersLeft
		for i := range args {
			if req.Args(&te, i) {
				r.rawArgs = append(r.rawArgs, w.add(entry{te.Name(), te.Value()}))
			}
		}
		for i := range headers {
			if req.Headers(&te, i) {
				r.header.raw = append(r.header.raw, w.add(entry{te.Name(), te.Value()}))
			}
		}
	})
}

// decode fills in what a HTTPRespCall says.
func (r *response) decode(payload []byte) error {
	return decoding(kindHTTPRespCall, payload, func(payload []byte) {
		var req hresp.Req
		req.Init(payload, flatbuffers.GetUOffsetT(payload))
		r.id, r.token, r.status = req.Id(), req.ConfToken(), int(req.Status())
		var te A6.TextEntry
		w := weight(len(payload))
		var n int
		n, r.left = few(req.HeadersLength(), payload)
		for i := range n {
			if req.Headers(&te, i) {
				r.header.raw = append(r.header.raw, w.add(entry{te.Name(), te.Value()}))
			}
		}
	})
}

// decodeAnswer returns the answer to a question. One without a result, for a variable that is not set, is nil.
func decodeAnswer(payload []byte) (result []byte, err error) {
	err = decoding(kindExtraInfo, payload, func(payload []byte) {
		result = ei.GetRootAsResp(payload, 0).ResultBytes()
	})
	return result, err
}
