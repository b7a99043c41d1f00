package server

import (
	"bytes"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/api7/ext-plugin-proto/go/A6"
	apierr "github.com/api7/ext-plugin-proto/go/A6/Err"
	hreq "github.com/api7/ext-plugin-proto/go/A6/HTTPReqCall"
	hresp "github.com/api7/ext-plugin-proto/go/A6/HTTPRespCall"
	pc "github.com/api7/ext-plugin-proto/go/A6/PrepareConf"
	flatbuffers "github.com/google/flatbuffers/go"
)

// framed returns the finished payload with its header in front, so that it goes out in one write. FlatBuffers builds from
// the back, and mostly leaves room before the payload.
func framed(b *flatbuffers.Builder, k kind) []byte {
	payload := b.FinishedBytes()
	at := len(b.Bytes) - len(payload)
	var frame []byte
	if at >= frameHeader {
		frame = b.Bytes[at-frameHeader:]
	} else {
		frame = append(make([]byte, frameHeader, frameHeader+len(payload)), payload...)
	}
	if putHeader(frame, k, len(payload)) != nil {
		return nil
	}
	return frame
}

// encoder builds one answer.
type encoder struct {
	b       flatbuffers.Builder
	entries []flatbuffers.UOffsetT
	left    int // bytes that were left out, because a frame has no room for them: the answer is none
}

func (e *encoder) reset() {
	if cap(e.b.Bytes) > keepBuffer {
		e.b = flatbuffers.Builder{}
	}
	if e.b.Bytes == nil {
		e.b = *flatbuffers.NewBuilder(1024)
	}
	e.b.Reset()
	e.entries, e.left = e.entries[:0], 0
}

// frame returns the answer; nil if it is longer than a frame.
func (e *encoder) frame(k kind) []byte {
	if e.left > 0 {
		return nil
	}
	return framed(&e.b, k)
}

// fits says whether a frame has room for more bytes. It is asked before they are built: FlatBuffers panics on too many.
func (e *encoder) fits(n int) bool {
	if n <= MaxFrame-int(e.b.Offset()) {
		return true
	}
	e.left += n
	return false
}

// bytes adds a list of bytes; 0 if there are none.
func (e *encoder) bytes(b []byte) flatbuffers.UOffsetT {
	if len(b) == 0 || !e.fits(len(b)) {
		return 0
	}
	return e.b.CreateByteVector(b)
}

func (e *encoder) token(token uint32) {
	pc.RespStart(&e.b)
	pc.RespAddConfToken(&e.b, token)
	e.b.Finish(pc.RespEnd(&e.b))
}

func (e *encoder) error(code apierr.Code) {
	apierr.RespStart(&e.b)
	apierr.RespAddCode(&e.b, code)
	e.b.Finish(apierr.RespEnd(&e.b))
}

// entry adds a name with a value; without one it is a deletion.
func (e *encoder) entry(name string, value *string) {
	if !e.fits(len(name)) || value != nil && !e.fits(len(name)+len(*value)) {
		return
	}
	n := e.b.CreateString(name)
	var v flatbuffers.UOffsetT
	if value != nil {
		v = e.b.CreateString(*value)
	}
	A6.TextEntryStart(&e.b)
	A6.TextEntryAddName(&e.b, n)
	if value != nil {
		A6.TextEntryAddValue(&e.b, v)
	}
	e.entries = append(e.entries, A6.TextEntryEnd(&e.b))
}

func (e *encoder) values(name string, values []string) {
	if len(values) == 0 {
		e.entry(name, nil)
	}
	for i := range values {
		e.entry(name, &values[i])
	}
}

// vector ends a list of the entries added since the last one; 0 if there are none.
func (e *encoder) vector(start func(*flatbuffers.Builder, int) flatbuffers.UOffsetT) flatbuffers.UOffsetT {
	n := len(e.entries)
	if n == 0 {
		return 0
	}
	start(&e.b, n)
	for _, entry := range slices.Backward(e.entries) {
		e.b.PrependUOffsetT(entry)
	}
	e.entries = e.entries[:0]
	return e.b.EndVector(n)
}

// headerChanges adds what differs from the fields that came.
func (e *encoder) headerChanges(h *header) {
	if h.view == nil {
		for i := range h.changed {
			if c := &h.changed[i]; c.deleted {
				e.entry(c.name, nil)
			} else {
				e.entry(c.name, &c.value)
			}
		}
		return
	}
	was := h.original()
	for name, values := range h.view {
		if len(values) > 0 && !slices.Equal(was[name], values) {
			e.values(name, values)
		}
	}
	for name := range was {
		if len(h.view[name]) == 0 {
			e.entry(name, nil)
		}
	}
	for _, c := range h.changed { // deleted without having come
		if c.deleted && len(was[c.name]) == 0 && len(h.view[c.name]) == 0 {
			e.entry(c.name, nil)
		}
	}
}

func (e *encoder) allHeaders(h http.Header) {
	for name, values := range h {
		for i := range values {
			e.entry(name, &values[i])
		}
	}
}

func (e *encoder) argChanges(was, now url.Values) {
	for name, values := range now {
		if len(values) > 0 && !slices.Equal(was[name], values) {
			e.values(name, values)
		}
	}
	for name := range was {
		if len(now[name]) == 0 {
			e.entry(name, nil)
		}
	}
}

// stop is the answer that a plugin gave.
func (e *encoder) stop(id uint32, w *writer) {
	e.allHeaders(w.header)
	headers := e.vector(hreq.StopStartHeadersVector)
	body := e.bytes(w.body)
	status := w.status
	if status == 0 {
		status = http.StatusOK
	}
	hreq.StopStart(&e.b)
	hreq.StopAddStatus(&e.b, uint16(status))
	if headers > 0 {
		hreq.StopAddHeaders(&e.b, headers)
	}
	if body > 0 {
		hreq.StopAddBody(&e.b, body)
	}
	e.action(id, hreq.ActionStop, hreq.StopEnd(&e.b))
}

// rewrite is what the plugins changed of the request; if that is nothing, the answer is empty.
func (e *encoder) rewrite(id uint32, r *request) {
	e.headerChanges(&r.header)
	headers := e.vector(hreq.RewriteStartHeadersVector)
	if r.args != nil {
		e.argChanges(r.originalArgs(), r.args)
	}
	args := e.vector(hreq.RewriteStartArgsVector)
	e.allHeaders(r.respHeader)
	respHeaders := e.vector(hreq.RewriteStartRespHeadersVector)
	var path, body flatbuffers.UOffsetT
	if r.newPath != nil && !bytes.Equal(r.newPath, r.path) && e.fits(len(r.newPath)) {
		path = e.b.CreateByteString(r.newPath)
	}
	if r.bodySet && e.fits(len(r.newBody)) {
		body = e.b.CreateByteVector(r.newBody)
	}
	if headers+args+respHeaders+path+body == 0 {
		e.action(id, hreq.ActionNONE, 0)
		return
	}
	hreq.RewriteStart(&e.b)
	for _, field := range []struct {
		at  flatbuffers.UOffsetT
		add func(*flatbuffers.Builder, flatbuffers.UOffsetT)
	}{
		{path, hreq.RewriteAddPath},
		{headers, hreq.RewriteAddHeaders},
		{respHeaders, hreq.RewriteAddRespHeaders},
		{args, hreq.RewriteAddArgs},
		{body, hreq.RewriteAddBody},
	} {
		if field.at > 0 {
			field.add(&e.b, field.at)
		}
	}
	e.action(id, hreq.ActionRewrite, hreq.RewriteEnd(&e.b))
}

func (e *encoder) action(id uint32, k hreq.Action, action flatbuffers.UOffsetT) {
	hreq.RespStart(&e.b)
	hreq.RespAddId(&e.b, id)
	if k != hreq.ActionNONE {
		hreq.RespAddActionType(&e.b, k)
		hreq.RespAddAction(&e.b, action)
	}
	e.b.Finish(hreq.RespEnd(&e.b))
}

// response is what the plugins changed of the response; of a marked one it is all headers that the gateway would send on.
func (e *encoder) response(r *response) {
	if r.marked {
		all := r.header.View()
		maps.DeleteFunc(all, func(name string, _ []string) bool { return isGatewaysOwn(name) && !r.header.IsSet(name) })
		e.allHeaders(all)
	} else {
		e.headerChanges(&r.header)
	}
	headers := e.vector(hresp.RespStartHeadersVector)
	body := e.bytes(r.newBody)
	hresp.RespStart(&e.b)
	if r.newStatus != 0 {
		hresp.RespAddStatus(&e.b, uint16(r.newStatus))
	}
	if headers > 0 {
		hresp.RespAddHeaders(&e.b, headers)
	}
	if body > 0 {
		hresp.RespAddBody(&e.b, body)
	}
	hresp.RespAddId(&e.b, r.id)
	e.b.Finish(hresp.RespEnd(&e.b))
}
