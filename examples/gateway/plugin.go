package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/api7/ext-plugin-proto/go/A6"
	"github.com/api7/ext-plugin-proto/go/A6/ExtraInfo"
)

// phase is the name of an ext-plugin, as it stands in a configuration key.
type phase string

const (
	phasePreReq   phase = "ext-plugin-pre-req"
	phasePostReq  phase = "ext-plugin-post-req"
	phasePostResp phase = "ext-plugin-post-resp"
)

// errMethod is a method that the protocol has no number for. APISIX itself fails on it, whatever the
// route's degradation says.
var errMethod = errors.New("method is not in the plugin protocol")

// runnerCall is a call of the runner in one phase: a HTTPReqCall or a HTTPRespCall.
type runnerCall struct {
	phase   phase
	options *pluginOptions
	kind    frameType // of the call and of its answer
	encode  func(token uint32) ([]byte, error)
	decode  func(payload []byte) error // takes the answer
}

// runPlugin asks the runner about the call in one of the request phases and applies what it says. It returns the status to
// answer with, 0 to go on.
func (c *call) runPlugin(ph phase, options *pluginOptions) int {
	if options == nil {
		return 0
	}
	var verdict action
	err := c.askRunner(runnerCall{
		phase: ph, options: options, kind: frameHTTPReqCall, encode: c.encodeReqCall,
		decode: func(payload []byte) (err error) {
			verdict, err = decodeAction(payload)
			return err
		},
	})
	log := c.gateway.log
	switch {
	case err == nil:
		return c.apply(verdict)
	case errors.Is(err, errMethod):
		log.Error().Err(err).Str("method", c.request.method).Msg("ext-plugin")
		return http.StatusInternalServerError
	case errors.Is(err, errClientBody):
		return http.StatusBadRequest
	case options.degrade:
		log.Warn().Err(err).Str("route", c.route.id).Msg("ext-plugin: runner failed, passed on")
		return 0
	default:
		log.Error().Err(err).Str("route", c.route.id).Msg("ext-plugin: runner failed")
		return http.StatusServiceUnavailable
	}
}

func (c *call) encodeReqCall(token uint32) ([]byte, error) {
	method, ok := A6.EnumValuesMethod[c.request.method]
	if !ok {
		return nil, fmt.Errorf("%w: %s", errMethod, c.request.method)
	}
	return encodeReqCall(reqCall{
		id: c.worker().nextID(), token: token, source: c.client.Addr().Unmap(), method: method,
		path: c.pluginPath(), args: c.args().entries(), headers: c.pluginHeaders(),
	}), nil
}

// askRunner tries anew, at most maxCallTries in all, while the runner does not know the token: it has been
// restarted, so every token of this worker and of the dict is forgotten. No other failure is tried again.
func (c *call) askRunner(ask runnerCall) error {
	ctx := c.gateway.calls // not the request's: APISIX goes on asking when the client has gone
	var err error
	for range maxCallTries {
		err = c.tryRunner(ctx, ask)
		if err == nil || !errors.Is(err, errTokenNotFound) {
			return err
		}
		c.gateway.log.Warn().Str("route", c.route.id).Msg("ext-plugin: conf token not found, all tokens flushed")
		c.gateway.dict.flush()
		c.worker().tokens.flush()
	}
	return fmt.Errorf("after %d tries: %w", maxCallTries, err)
}

// tryRunner makes the call on a connection of its own. APISIX takes that connection before it looks for the
// token, so a PrepareConf, if there has to be one, is on another.
func (c *call) tryRunner(ctx context.Context, ask runnerCall) error {
	w := c.worker()
	conn, err := w.runners.take(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	err = c.callOn(ctx, conn, ask)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return err
	}
	w.runners.put(conn)
	return nil
}

func (c *call) callOn(ctx context.Context, conn net.Conn, ask runnerCall) error {
	token, err := c.token(ctx, ask.phase, ask.options)
	if err != nil {
		return err
	}
	payload, err := ask.encode(token)
	if err != nil {
		return err
	}
	if err := writeFrame(conn, ask.kind, payload); err != nil {
		return err
	}
	for {
		kind, payload, err := readFrame(conn)
		switch {
		case err != nil:
			return err
		case kind == ask.kind:
			return ask.decode(payload)
		case kind == frameError:
			return decodeError(payload)
		case kind != frameExtraInfo:
			return fmt.Errorf("%w: frame of type %d in answer to one of type %d", errMalformed, kind, ask.kind)
		}
		if err := c.answerQuestion(conn, payload); err != nil {
			return err
		}
	}
}

// answerQuestion answers one ExtraInfo. The runner may have written several: they are read, and so
// answered, in turn.
func (c *call) answerQuestion(conn net.Conn, payload []byte) error {
	asked, err := decodeQuestion(payload)
	if err != nil {
		return err
	}
	var result []byte
	switch asked.kind {
	case ExtraInfo.InfoReqBody:
		if result, err = c.readBody(); err != nil {
			return err
		}
	case ExtraInfo.InfoRespBody:
		if c.origin == nil {
			return fmt.Errorf("%w: a question for the response's body in a request phase", errMalformed)
		}
		result = c.origin.body
	default:
		if value, ok := c.variable(asked.variable); ok {
			result = []byte(value)
		}
	}
	return writeFrame(conn, frameExtraInfo, encodeExtraInfo(result))
}

// token returns the token of this route and phase: from the worker's memory, else from the dict, else by
// PrepareConf. As in APISIX the look into the dict already takes a second connection.
func (c *call) token(ctx context.Context, ph phase, options *pluginOptions) (uint32, error) {
	key := fmt.Sprintf("route#%s#%s#%s", c.route.id, ph, c.gateway.version)
	w, now := c.worker(), c.gateway.now()
	if token, ok := w.tokens.get(key, now); ok {
		return token, nil
	}
	conn, err := w.runners.take(ctx)
	if err != nil {
		return 0, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	token, err := c.prepare(ctx, conn, key, options)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return 0, err
	}
	w.runners.put(conn)
	w.tokens.set(key, token, now)
	return token, nil
}

func (c *call) prepare(ctx context.Context, conn net.Conn, key string, options *pluginOptions) (uint32, error) {
	dict := c.gateway.dict
	if token, ok := dict.get(key, c.gateway.now()); ok {
		return token, nil
	}
	if err := dict.lock(ctx); err != nil {
		return 0, err
	}
	defer dict.unlock()
	if token, ok := dict.get(key, c.gateway.now()); ok { // another call was first
		return token, nil
	}
	if err := writeFrame(conn, framePrepareConf, encodePrepareConf(key, options.conf)); err != nil {
		return 0, err
	}
	kind, payload, err := readFrame(conn)
	switch {
	case err != nil:
		return 0, err
	case kind == frameError:
		return 0, decodeError(payload)
	case kind != framePrepareConf:
		return 0, fmt.Errorf("%w: frame of type %d in answer to PrepareConf", errMalformed, kind)
	}
	token, err := decodeToken(payload)
	if err == nil {
		dict.set(key, token, c.gateway.now())
	}
	return token, err
}
