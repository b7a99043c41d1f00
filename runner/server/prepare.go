package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"

	"github.com/apache/apisix-go-plugin-runner/pkg/plugin"

	"fivetuple/correlator"
)

// What a call of a route with a wrong configuration gets: Options.OnConfigError.
const (
	ConfigErrorMark   = "mark"   // it goes on, and x-packet-match says none;reason=config
	ConfigErrorRefuse = "refuse" // it is answered with 503
)

// rules are a route's plugins with their configurations, in the order in which they run.
type rules struct {
	route correlator.Route
	phase string // of the gateway, empty if its key names none
	steps []step
	err   error // of the first configuration that is wrong
}

// step is one plugin with its configuration.
type step struct {
	plugin plugin.Plugin
	conf   any
}

// carriesError is a configuration that was wrong, and that its plugin marks on the call itself.
type carriesError interface {
	ConfError() error
}

// requestOnly is a plugin that has nothing to do with responses.
type requestOnly interface{ RequestOnly() }

// errPhase means that a plugin is configured in a phase in which it does nothing.
var errPhase = errors.New("the plugin works in ext-plugin-pre-req and ext-plugin-post-req only, and does nothing under " + phasePostResp +
	": move it to ext-plugin-pre-req")

const (
	// maxConf bounds a configuration with its key, in bytes: etcd, where APISIX has it from, takes 1.5 MB at a time by default.
	maxConf = 2 << 20
	// maxKey bounds the key, in bytes. That of a real gateway has no more than four ids of 64 bytes each, and versions.
	maxKey = 4096
)

// errConfLong means that a configuration was not read.
var errConfLong = fmt.Errorf("the configuration is longer than %d bytes, or has more than %d plugins", maxConf, maxEntries)

// bounded returns a configuration that can be kept. One that is too long loses its text: its calls are told of it.
func (p prepared) bounded() prepared {
	p.key = p.key[:min(len(p.key), maxKey)]
	if p.size() > maxConf {
		p.conf = []entry{{}}
	}
	return p
}

// isLong reports whether a configuration has lost its text.
func (p prepared) isLong() bool { return len(p.conf) == 1 && len(p.conf[0].name) == 0 }

// prepare answers a PrepareConf of a user's gateway with a token.
func (s *Server) prepare(p prepared, uid uint32) (uint32, error) {
	p = p.bounded()
	key := hashConf(p, uid)
	if token, ok := s.tokens.known(p, key, uid); ok {
		return token, nil
	}
	r := s.parseConf(p)
	if r.err != nil {
		s.stats.ConfigErrors.Add(1)
		s.log.Error().Err(r.err).Str("key", shorten(string(p.key))).Str("route", shorten(r.route.String())).Str("phase", shorten(r.phase)).
			Str("then", s.onConfigError).Msg("wrong plugin configuration")
	}
	return s.tokens.add(key, p, r, uid)
}

// parseConf never fails: what is wrong is what calls are told.
func (s *Server) parseConf(p prepared) *rules {
	r := new(rules)
	route, phase, err := routeOfKey(string(p.key))
	if err != nil { // plugins work all the same; calls have no route
		s.stats.UnknownKeys.Add(1)
		s.log.Warn().Err(err).Msg("configuration without a route")
	}
	r.route, r.phase = route, phase
	s.seen.add(route)
	if p.isLong() {
		r.fail(errConfLong)
		return r
	}
	for i, e := range p.conf {
		name := string(e.name)
		found, ok := s.plugins[name]
		if !ok {
			r.fail(fmt.Errorf("conf[%d]: there is no plugin %q", i, shorten(name)))
			continue
		}
		if _, ok := found.(requestOnly); ok && phase == phasePostResp {
			r.fail(fmt.Errorf("conf[%d], plugin %q: %w", i, name, errPhase))
			continue
		}
		conf, err := s.parseOne(found, e.value)
		if carried, ok := conf.(carriesError); err == nil && ok {
			if err := carried.ConfError(); err != nil {
				r.note(fmt.Errorf("conf[%d], plugin %q: %w", i, name, err))
			}
		}
		if err != nil {
			r.fail(fmt.Errorf("conf[%d], plugin %q: %w", i, name, err))
			continue
		}
		r.steps = append(r.steps, step{found, conf})
	}
	return r
}

// parseOne lets a plugin read its configuration, which it may keep: it gets a copy.
func (s *Server) parseOne(p plugin.Plugin, text []byte) (conf any, err error) {
	defer func() {
		if r := recover(); r != nil {
			s.stats.Panics.Add(1)
			s.log.Error().Str("plugin", p.Name()).Interface("panic", fmt.Sprint(r)).Bytes("stack", debug.Stack()).
				Msg("plugin panicked over its configuration")
			err = fmt.Errorf("%w: %v", errPanic, r)
		}
	}()
	return p.ParseConf(append([]byte(nil), text...))
}

// note keeps the first error; the configuration's plugin tells calls of it.
func (r *rules) note(err error) {
	if r.err == nil {
		r.err = err
	}
}

// fail keeps the first error; nobody else tells calls of it, so that the server marks them.
func (r *rules) fail(err error) {
	r.note(err)
	if len(r.steps) == 0 || r.steps[0].plugin != nil {
		r.steps = append([]step{{}}, r.steps...)
	}
}

// What a wrong configuration puts on a call, in the place of the plugin that could not run.
const (
	markName  = "X-Packet-Match"
	markValue = "none;reason=" + string(correlator.ReasonConfig)
)

// refuse answers a call of a wrong configuration.
func refuse(w interface {
	io.Writer
	WriteHeader(status int)
},
) {
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte("plugin configuration error\n"))
}
