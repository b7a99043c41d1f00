package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"fivetuple/runner/printable"
)

// The parameters of the query, and how far a report goes back where it is not said.
const (
	paramSince, paramRoute = "since", "route"
	DefaultSince           = time.Hour
)

// maxReports is how many are made at once: each takes some milliseconds of a CPU for each hundred routes. A further one gets 503.
const maxReports = 1

// Handler serves the report as JSON: GET /report?since=1h&route=ID.
func Handler(f *Figures) http.Handler {
	turn := make(chan struct{}, maxReports)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q, err := readQuery(r.URL.RawQuery)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		select {
		case turn <- struct{}{}:
		default:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "another report is being made", http.StatusServiceUnavailable)
			return
		}
		text, err := json.Marshal(f.Report(q))
		<-turn // whoever reads slowly keeps nobody from the next
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(append(printable.JSON(text), '\n'))
	})
}

var errQuery = errors.New("wrong query")

// readQuery is strict: a parameter that is not known would be taken for one that was heard.
func readQuery(raw string) (Query, error) {
	q := Query{Since: DefaultSince}
	params, err := url.ParseQuery(raw)
	if err != nil {
		return Query{}, fmt.Errorf("%w: %w", errQuery, err)
	}
	for key, values := range params {
		switch {
		case len(values) > 1:
			return Query{}, fmt.Errorf("%w: %s is given %d times", errQuery, key, len(values))
		case key == paramSince:
			if q.Since, err = time.ParseDuration(values[0]); err == nil {
				err = CheckSince(q.Since)
			}
			if err != nil {
				return Query{}, fmt.Errorf("%w: %s: %w", errQuery, key, err)
			}
		case key == paramRoute:
			q.Route = &values[0]
		default:
			return Query{}, fmt.Errorf("%w: %q is none of %s, %s", errQuery, key, paramSince, paramRoute)
		}
	}
	return q, nil
}

func (q Query) encode() string {
	params := url.Values{paramSince: {q.Since.String()}}
	if q.Route != nil {
		params.Set(paramRoute, *q.Route)
	}
	return params.Encode()
}
