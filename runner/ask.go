package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"fivetuple/runner/printable"
	"fivetuple/runner/server"
)

const (
	// askTime is how long a runner may take to answer a command.
	askTime = 2 * time.Second
	// maxAnswer bounds an answer, in bytes: the longest has every route that was seen.
	maxAnswer = 8 << 20
)

var (
	// errNoRunner means that no process answers.
	errNoRunner = errors.New("no runner answers")
	// errNoAnswer means that the answer is not that of a runner of this version.
	errNoAnswer = errors.New("no answer of a runner")
)

// ask gets a page of the runner whose metrics are served on an address. Of the statuses, 200 and 503 come with an answer.
func ask(ctx context.Context, address, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return fmt.Errorf("ask the runner: %w", err)
	}
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request) // no proxy, no redirection: the runner is on this host
	if of, ok := errors.AsType[*url.Error](err); ok {
		err = of.Err
	}
	if err != nil {
		return fmt.Errorf("%w at %s (metrics.listen): %w", errNoRunner, address, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusServiceUnavailable {
		return fmt.Errorf("%w at %s (metrics.listen) to %s: status %d", errNoAnswer, address, path, answer.StatusCode)
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("%w at %s (metrics.listen) to %s: %w", errNoAnswer, address, path, err)
	}
	return nil
}

// routesAnswer is what /routes serves.
type routesAnswer struct {
	Seen []string `json:"seen"` // ids; global: a global rule
	All  bool     `json:"all"`  // there was room for all
}

// routesHandler serves which routes the runner has seen since it started, with those of the runner that it took over from.
func routesHandler(seen *server.SeenRoutes) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a := routesAnswer{Seen: []string{}}
		ids, all := seen.List()
		a.Seen, a.All = append(a.Seen, ids...), all
		w.Header().Set("Content-Type", "application/json")
		_ = printable.NewEncoder(w).Encode(a) // who does not read it has gone
	})
}
