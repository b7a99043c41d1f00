package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	// fetchTime is how long a report may take.
	fetchTime = 15 * time.Second
	// maxReport is the longest report in bytes: some 1.5 KB for each of the most routes.
	maxReport = 64 << 20
	// maxRefusal is how much of an answer that is no report is repeated.
	maxRefusal = 200
)

var (
	// ErrNoRunner means that nobody answers.
	ErrNoRunner = errors.New("no runner answers")
	// ErrNoReport means that something answers which is no report.
	ErrNoReport = errors.New("no report")
)

// Fetch asks the runner whose metrics are served on an address for a report.
func Fetch(ctx context.Context, address string, q Query) (Report, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/report?"+q.encode(), nil)
	if err != nil {
		return Report{}, fmt.Errorf("ask for a report: %w", err)
	}
	client := http.Client{ // no proxy, no redirection: the runner is on this host
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(request)
	if of, ok := errors.AsType[*url.Error](err); ok {
		err = of.Err // without the whole address again
	}
	if err != nil {
		return Report{}, fmt.Errorf("%w at %s (metrics.listen): %w", ErrNoRunner, address, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(answer.Body, maxRefusal))
		return Report{}, fmt.Errorf("%w at %s (metrics.listen): status %d: %q", ErrNoReport, address, answer.StatusCode, why)
	}
	var r Report
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxReport)).Decode(&r); err != nil {
		return Report{}, fmt.Errorf("%w at %s (metrics.listen): %w", ErrNoReport, address, err)
	}
	return r, nil
}
