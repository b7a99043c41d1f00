package gateway

import (
	"errors"
	"fmt"

	"github.com/api7/ext-plugin-proto/go/A6"
	"github.com/api7/ext-plugin-proto/go/A6/Err"
	"github.com/api7/ext-plugin-proto/go/A6/ExtraInfo"
	"github.com/api7/ext-plugin-proto/go/A6/HTTPReqCall"
	"github.com/api7/ext-plugin-proto/go/A6/HTTPRespCall"
	"github.com/api7/ext-plugin-proto/go/A6/PrepareConf"
	flatbuffers "github.com/google/flatbuffers/go"
)

// Errors of a runner's answer.
var (
	errTokenNotFound = errors.New("conf token not found")
	errRunnerAnswer  = errors.New("runner answered with an error")
	errMalformed     = errors.New("malformed payload from the runner")
)

// action is what the runner wants done with a request; both nil: pass it on as it is.
type action struct {
	stop    *stopAction
	rewrite *rewriteAction
}

// stopAction answers the client in the runner's place of the upstream's.
type stopAction struct {
	status  int // 0 means 200
	headers []entry
	body    []byte
}

// rewriteAction changes a request. An entry without a value deletes.
type rewriteAction struct {
	path        string
	hasPath     bool
	headers     []entry
	args        []entry
	respHeaders []entry
	body        []byte
}

// question is an ExtraInfo of the runner: for a variable, or for a body.
type question struct {
	kind     ExtraInfo.Info
	variable string // its name
}

// decode runs a flatbuffers reader over what the runner sent. The readers do not check bounds and panic
// on a malformed buffer, so a panic is an error here.
func decode[T any](payload []byte, read func([]byte) (T, error)) (value T, err error) {
	defer func() {
		if p := recover(); p != nil {
			var none T
			value, err = none, fmt.Errorf("%w: %v", errMalformed, p)
		}
	}()
	return read(payload)
}

// decodeError tells the runner's error; never nil.
func decodeError(payload []byte) error {
	code, err := decode(payload, func(p []byte) (Err.Code, error) {
		return Err.GetRootAsResp(p, 0).Code(), nil
	})
	switch {
	case err != nil:
		return err
	case code == Err.CodeCONF_TOKEN_NOT_FOUND:
		return errTokenNotFound
	default:
		return fmt.Errorf("%w: %v", errRunnerAnswer, code)
	}
}

func decodeToken(payload []byte) (uint32, error) {
	return decode(payload, func(p []byte) (uint32, error) {
		return PrepareConf.GetRootAsResp(p, 0).ConfToken(), nil
	})
}

func decodeQuestion(payload []byte) (question, error) {
	return decode(payload, func(p []byte) (question, error) {
		req := ExtraInfo.GetRootAsReq(p, 0)
		var info flatbuffers.Table
		if !req.Info(&info) {
			return question{}, fmt.Errorf("%w: ExtraInfo without info", errMalformed)
		}
		switch kind := req.InfoType(); kind {
		case ExtraInfo.InfoVar:
			var v ExtraInfo.Var
			v.Init(info.Bytes, info.Pos)
			return question{kind: kind, variable: string(v.Name())}, nil
		case ExtraInfo.InfoReqBody, ExtraInfo.InfoRespBody:
			return question{kind: kind}, nil
		default:
			return question{}, fmt.Errorf("%w: unsupported info type %v", errMalformed, kind)
		}
	})
}

func decodeAction(payload []byte) (action, error) {
	return decode(payload, func(p []byte) (action, error) {
		resp := HTTPReqCall.GetRootAsResp(p, 0)
		var table flatbuffers.Table
		if !resp.Action(&table) {
			return action{}, nil
		}
		switch kind := resp.ActionType(); kind {
		case HTTPReqCall.ActionNONE:
			return action{}, nil
		case HTTPReqCall.ActionStop:
			return action{stop: readStop(table)}, nil
		case HTTPReqCall.ActionRewrite:
			return action{rewrite: readRewrite(table)}, nil
		default:
			return action{}, fmt.Errorf("%w: unknown action %v", errMalformed, kind)
		}
	})
}

// respAction is what the runner wants done with a response.
type respAction struct {
	status  int // 0: as it is
	headers []entry
	body    []byte // empty: as it is
}

func decodeRespAction(payload []byte) (respAction, error) {
	return decode(payload, func(p []byte) (respAction, error) {
		resp := HTTPRespCall.GetRootAsResp(p, 0)
		return respAction{
			status: int(resp.Status()), headers: readEntries(resp.HeadersLength(), resp.Headers), body: resp.BodyBytes(),
		}, nil
	})
}

func readStop(table flatbuffers.Table) *stopAction {
	var stop HTTPReqCall.Stop
	stop.Init(table.Bytes, table.Pos)
	return &stopAction{
		status:  int(stop.Status()),
		headers: readEntries(stop.HeadersLength(), stop.Headers),
		body:    stop.BodyBytes(),
	}
}

func readRewrite(table flatbuffers.Table) *rewriteAction {
	var rewrite HTTPReqCall.Rewrite
	rewrite.Init(table.Bytes, table.Pos)
	path := rewrite.Path()
	return &rewriteAction{
		path:        string(path),
		hasPath:     path != nil,
		headers:     readEntries(rewrite.HeadersLength(), rewrite.Headers),
		args:        readEntries(rewrite.ArgsLength(), rewrite.Args),
		respHeaders: readEntries(rewrite.RespHeadersLength(), rewrite.RespHeaders),
		body:        rewrite.BodyBytes(),
	}
}

func readEntries(n int, get func(*A6.TextEntry, int) bool) []entry {
	entries := make([]entry, 0, n)
	var e A6.TextEntry
	for i := range n {
		if !get(&e, i) {
			continue
		}
		value := e.Value()
		entries = append(entries, entry{name: string(e.Name()), value: string(value), hasValue: value != nil})
	}
	return entries
}
