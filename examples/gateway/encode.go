package gateway

import (
	"net/netip"
	"slices"

	"github.com/api7/ext-plugin-proto/go/A6"
	"github.com/api7/ext-plugin-proto/go/A6/ExtraInfo"
	"github.com/api7/ext-plugin-proto/go/A6/HTTPReqCall"
	"github.com/api7/ext-plugin-proto/go/A6/HTTPRespCall"
	"github.com/api7/ext-plugin-proto/go/A6/PrepareConf"
	flatbuffers "github.com/google/flatbuffers/go"
)

// entry is a TextEntry of the protocol. Without a value it is a flag argument (?flag), or, in what the
// runner sends, a deletion.
type entry struct {
	name, value string
	hasValue    bool
}

// reqCall is the content of one HTTPReqCall: all that APISIX tells the runner of a request unasked.
type reqCall struct {
	id, token uint32
	source    netip.Addr // $remote_addr: after real-ip
	method    A6.Method
	path      string
	args      []entry
	headers   []entry
}

func encodePrepareConf(key string, conf []pluginConf) []byte {
	b := flatbuffers.NewBuilder(256)
	keyAt := b.CreateString(key)
	entries := make([]entry, len(conf))
	for i, c := range conf {
		entries[i] = entry{name: c.name, value: c.value, hasValue: true}
	}
	confAt := encodeEntries(b, entries, PrepareConf.ReqStartConfVector)
	PrepareConf.ReqStart(b)
	PrepareConf.ReqAddKey(b, keyAt)
	PrepareConf.ReqAddConf(b, confAt)
	b.Finish(PrepareConf.ReqEnd(b))
	return b.FinishedBytes()
}

func encodeReqCall(call reqCall) []byte {
	b := flatbuffers.NewBuilder(1024)
	path := b.CreateString(call.path)
	source := b.CreateByteVector(call.source.AsSlice())
	args := encodeEntries(b, call.args, HTTPReqCall.ReqStartArgsVector)
	headers := encodeEntries(b, call.headers, HTTPReqCall.ReqStartHeadersVector)
	HTTPReqCall.ReqStart(b)
	HTTPReqCall.ReqAddId(b, call.id)
	HTTPReqCall.ReqAddConfToken(b, call.token)
	HTTPReqCall.ReqAddSrcIp(b, source)
	HTTPReqCall.ReqAddPath(b, path)
	HTTPReqCall.ReqAddArgs(b, args)
	HTTPReqCall.ReqAddHeaders(b, headers)
	HTTPReqCall.ReqAddMethod(b, call.method)
	b.Finish(HTTPReqCall.ReqEnd(b))
	return b.FinishedBytes()
}

// respCall is the content of one HTTPRespCall.
type respCall struct {
	id, token uint32
	status    int
	headers   []entry
}

func encodeRespCall(call respCall) []byte {
	b := flatbuffers.NewBuilder(1024)
	headers := encodeEntries(b, call.headers, HTTPRespCall.ReqStartHeadersVector)
	HTTPRespCall.ReqStart(b)
	HTTPRespCall.ReqAddId(b, call.id)
	HTTPRespCall.ReqAddStatus(b, uint16(call.status)) //nolint:gosec // a status has three digits
	HTTPRespCall.ReqAddConfToken(b, call.token)
	HTTPRespCall.ReqAddHeaders(b, headers)
	b.Finish(HTTPRespCall.ReqEnd(b))
	return b.FinishedBytes()
}

// encodeExtraInfo answers an ExtraInfo question; nil is "no such value", which is not an empty one.
func encodeExtraInfo(result []byte) []byte {
	b := flatbuffers.NewBuilder(len(result) + 64)
	var at flatbuffers.UOffsetT
	if result != nil {
		at = b.CreateByteVector(result)
	}
	ExtraInfo.RespStart(b)
	if result != nil {
		ExtraInfo.RespAddResult(b, at)
	}
	b.Finish(ExtraInfo.RespEnd(b))
	return b.FinishedBytes()
}

type startVector func(*flatbuffers.Builder, int) flatbuffers.UOffsetT

func encodeEntries(b *flatbuffers.Builder, entries []entry, start startVector) flatbuffers.UOffsetT {
	at := make([]flatbuffers.UOffsetT, len(entries))
	for i, e := range entries {
		name := b.CreateString(e.name)
		var value flatbuffers.UOffsetT
		if e.hasValue {
			value = b.CreateString(e.value)
		}
		A6.TextEntryStart(b)
		A6.TextEntryAddName(b, name)
		if e.hasValue {
			A6.TextEntryAddValue(b, value)
		}
		at[i] = A6.TextEntryEnd(b)
	}
	start(b, len(at))
	for _, a := range slices.Backward(at) { // flatbuffers are built back to front
		b.PrependUOffsetT(a)
	}
	return b.EndVector(len(at))
}
