package server

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/apache/apisix-go-plugin-runner/pkg/plugin"

	"fivetuple/correlator"
)

var (
	// errToken means that a call came with a token that does not hold, or no longer.
	errToken = errors.New("token is not known")
	// errPanic means that a plugin panicked.
	errPanic = errors.New("plugin panicked")
)

// requestCall runs a call's plugins in the request phases and builds the answer.
func (s *session) requestCall(payload []byte) error {
	r, w := &s.request, &s.writer
	if err := r.decode(payload); err != nil {
		return err
	}
	rules, err := s.find(r.token, r.left)
	if err != nil {
		return err
	}
	r.route, r.started = rules.route, time.Now()
	off := s.server.isOff(rules.route)
	if !off {
		if err := s.runRequest(rules, r, w); err != nil {
			return err
		}
	}
	if off || rules.err != nil || len(rules.steps) == 0 { // else the plugins have removed it
		r.header.Del(correlator.TupleHeaderName)
	}
	s.out.reset()
	if w.answered() {
		s.out.stop(r.id, w)
	} else {
		s.out.rewrite(r.id, r)
	}
	return s.broken
}

// find returns what a call's token stands for, and counts the call, and what was not read of it.
func (s *session) find(token uint32, left int) (*rules, error) {
	rules := s.server.tokens.find(token, s.uid)
	if rules == nil {
		return nil, fmt.Errorf("%w: %d", errToken, token)
	}
	s.server.stats.Calls.Add(1)
	if left > 0 {
		s.server.stats.EntriesLeftOut.Add(uint64(left))
	}
	return rules, nil
}

func (s *session) runRequest(rules *rules, r *request, w *writer) error {
	if s.isRefused(rules) {
		refuse(w)
		return nil
	}
	for _, step := range rules.steps {
		if step.plugin == nil {
			r.header.Set(markName, markValue)
			continue
		}
		if err := s.guard(step.plugin, func() { step.plugin.RequestFilter(step.conf, w, r) }); err != nil {
			return err
		}
		if w.answered() || s.broken != nil {
			break
		}
	}
	return nil
}

// isRefused reports whether a call is answered for its wrong configuration, and counts a call of a wrong one.
func (s *session) isRefused(rules *rules) bool {
	if rules.err == nil {
		return false
	}
	s.server.stats.ConfigErrorCalls.Add(1)
	return s.server.onConfigError == ConfigErrorRefuse
}

// responseCall runs a call's plugins in the response phase and builds the answer.
func (s *session) responseCall(payload []byte) error {
	r := &s.response
	if err := r.decode(payload); err != nil {
		return err
	}
	rules, err := s.find(r.token, r.left)
	if err != nil {
		return err
	}
	r.route = rules.route
	if !s.server.isOff(rules.route) {
		if err := s.runResponse(rules, r); err != nil {
			return err
		}
	}
	s.out.reset()
	s.out.response(r)
	return s.broken
}

func (s *session) runResponse(rules *rules, r *response) error {
	if s.isRefused(rules) {
		refuse(r)
		return nil
	}
	for _, step := range rules.steps {
		if step.plugin == nil {
			r.mark()
			continue
		}
		if err := s.guard(step.plugin, func() { step.plugin.ResponseFilter(step.conf, r) }); err != nil {
			return err
		}
		if r.wrote || r.newStatus != 0 || s.broken != nil {
			break
		}
	}
	return nil
}

// guard runs a plugin, and makes a panic an error: the gateway is told that the call failed, and does with it what the
// route's allow_degradation says.
func (s *session) guard(p plugin.Plugin, run func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.server.stats.Panics.Add(1)
			s.server.log.Error().Str("plugin", p.Name()).Interface("panic", fmt.Sprint(r)).Bytes("stack", debug.Stack()).
				Msg("plugin panicked")
			err = fmt.Errorf("%w: %s: %v", errPanic, p.Name(), r)
		}
	}()
	run()
	return nil
}
