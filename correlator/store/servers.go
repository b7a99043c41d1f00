package store

import (
	"context"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// servers remembers which runs of which servers answered: one that was not there before may have lost what was written.
type servers struct {
	client redis.UniversalClient
	known  map[string]bool
}

// isNew asks who answers, and says whether one of them did not before. The first time nobody is new.
func (s *servers) isNew(ctx context.Context) (bool, error) {
	now := map[string]bool{}
	var mu sync.Mutex
	note := func(ctx context.Context, server *redis.Client) error {
		text, err := server.Info(ctx, "server").Result()
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		now[runID(text)] = true
		return nil
	}
	var err error
	switch c := s.client.(type) {
	case *redis.ClusterClient:
		err = c.ForEachMaster(ctx, note)
	case *redis.Client:
		err = note(ctx, c)
	}
	if err != nil {
		return false, err // of a Cluster that lacks one, the others are told when it is there again
	}
	isNew := false
	for id := range now {
		isNew = isNew || !s.known[id]
	}
	isNew = isNew && s.known != nil
	s.known = now
	return isNew, nil
}

// runID returns the name of a server's run, which is another one after each start.
func runID(info string) string {
	for line := range strings.Lines(info) {
		if id, ok := strings.CutPrefix(line, "run_id:"); ok {
			return strings.TrimSpace(id)
		}
	}
	return ""
}
