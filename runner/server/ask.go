package server

import (
	"fmt"
	"time"

	"github.com/apache/apisix-go-plugin-runner/pkg/common"
	ei "github.com/api7/ext-plugin-proto/go/A6/ExtraInfo"
	flatbuffers "github.com/google/flatbuffers/go"
)

// body is one of the bodies that the gateway can be asked for.
type body struct {
	kind  ei.Info
	start func(*flatbuffers.Builder)
	end   func(*flatbuffers.Builder) flatbuffers.UOffsetT
}

var (
	requestBody  = body{ei.InfoReqBody, ei.ReqBodyStart, ei.ReqBodyEnd}    //nolint:gochecknoglobals // a constant, but for its functions
	responseBody = body{ei.InfoRespBody, ei.RespBodyStart, ei.RespBodyEnd} //nolint:gochecknoglobals // as above
)

// variable is an answer that was got.
type variable struct {
	name  string
	value []byte
}

// variable returns the value of a variable; it is asked for once a call.
func (s *session) variable(known *[]variable, name string) ([]byte, error) {
	for _, v := range *known {
		if v.name == name {
			return v.value, nil
		}
	}
	value, err := s.askVar(name)
	if err != nil {
		return nil, err
	}
	*known = append(*known, variable{name, value})
	return value, nil
}

// askVar asks for a variable; nil if it is not set. The gateway's connection is unusable after an error.
func (s *session) askVar(name string) ([]byte, error) {
	s.sendQuestion(ei.InfoVar, questionVar(&s.questions, name))
	return s.answer(s.server.frameWait)
}

// askVars asks for variables in one write; the gateway answers in order.
func (s *session) askVars(names []string) ([][]byte, error) {
	var all []byte
	for _, name := range names {
		b := flatbuffers.NewBuilder(64)
		finishQuestion(b, ei.InfoVar, questionVar(b, name))
		all = append(all, framed(b, kindExtraInfo)...)
	}
	s.write(all)
	values := make([][]byte, 0, len(names))
	for range names {
		value, err := s.answer(s.server.frameWait)
		if err != nil {
			return values, err
		}
		values = append(values, value)
	}
	return values, nil
}

// askBody asks for a body; nil if there is none.
func (s *session) askBody(b body) ([]byte, error) {
	s.questions.Reset()
	b.start(&s.questions)
	s.sendQuestion(b.kind, b.end(&s.questions))
	return s.answer(s.server.peerWait) // the gateway may have to wait for the client
}

func questionVar(b *flatbuffers.Builder, name string) flatbuffers.UOffsetT {
	b.Reset()
	text := b.CreateString(name)
	ei.VarStart(b)
	ei.VarAddName(b, text)
	return ei.VarEnd(b)
}

func finishQuestion(b *flatbuffers.Builder, k ei.Info, info flatbuffers.UOffsetT) {
	ei.ReqStart(b)
	ei.ReqAddInfoType(b, k)
	ei.ReqAddInfo(b, info)
	b.Finish(ei.ReqEnd(b))
}

func (s *session) sendQuestion(k ei.Info, info flatbuffers.UOffsetT) {
	finishQuestion(&s.questions, k, info)
	s.write(framed(&s.questions, kindExtraInfo))
}

// answer reads one that begins within some time. It is a buffer of its own: the call's frame is still in use.
func (s *session) answer(wait time.Duration) ([]byte, error) {
	if s.broken != nil {
		return nil, common.ErrConnClosed
	}
	s.deadline(wait)
	var k kind
	var payload []byte
	_, err := s.in.Peek(1)
	if err == nil {
		s.deadline(s.server.frameWait)
		err = s.arrive()
	}
	if err == nil {
		k, payload, err = readFrame(s.in, nil)
	}
	if err == nil && k != kindExtraInfo {
		err = fmt.Errorf("%w: %v in answer to a question", errMalformed, k)
	}
	var result []byte
	if err == nil {
		result, err = decodeAnswer(payload)
	}
	if err != nil {
		s.broken = err
		return nil, common.ErrConnClosed
	}
	return result, nil
}
