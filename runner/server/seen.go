package server

import (
	"maps"
	"slices"
	"sync"

	"fivetuple/correlator"
)

// maxSeen bounds the routes that are remembered as seen: as many as can be switched off.
const maxSeen = 65_536

// SeenRoutes are the routes of which the gateway has had a configuration prepared. The zero value is ready.
type SeenRoutes struct {
	mu   sync.Mutex
	ids  map[string]struct{}
	more bool // there was no room for some
}

// add records a route. The route of a configuration that names none is ignored.
func (s *SeenRoutes) add(r correlator.Route) {
	id := r.String()
	if id == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids == nil {
		s.ids = make(map[string]struct{})
	}
	if _, known := s.ids[id]; !known && len(s.ids) == maxSeen {
		s.more = true
		return
	}
	s.ids[id] = struct{}{}
}

// List returns the routes' ids, sorted ("global" for all global rules), and whether there was room for all of them.
func (s *SeenRoutes) List() (ids []string, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.ids)), !s.more
}
