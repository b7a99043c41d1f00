package report

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fivetuple/correlator/signal"
)

// TestFetch: what is fetched is what was made.
func TestFetch(t *testing.T) {
	f, _ := newFigures(t, 10)
	f.Take(flagged(exchange("a b&c=d"), signal.Retransmit))
	f.Take(exchange("carts"))
	mux := http.NewServeMux()
	mux.Handle("GET /report", Handler(f))
	s := httptest.NewServer(mux)
	defer s.Close()
	route, none := "a b&c=d", ""
	for _, q := range []Query{{Since: time.Hour}, {Since: MaxSince}, {Since: time.Minute, Route: &route}, {Since: time.Minute, Route: &none}} {
		got, err := Fetch(t.Context(), strings.TrimPrefix(s.URL, "http://"), q)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(f.Report(q), got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		if q.Route != nil && len(got.Routes) > 1 {
			t.Errorf("%d routes", len(got.Routes))
		}
	}
}

// TestQueriesAreStrict: what is not understood is refused.
func TestQueriesAreStrict(t *testing.T) {
	f, _ := newFigures(t, 10)
	for query, want := range map[string]int{
		"": http.StatusOK, "since=1h": http.StatusOK, "route=": http.StatusOK, "since=1h&route=x": http.StatusOK,
		"since=1": http.StatusBadRequest, "since=59s": http.StatusBadRequest, "since=24h1s": http.StatusBadRequest, "since=": http.StatusBadRequest,
		"since=-1h": http.StatusBadRequest, "since=1h&since=2h": http.StatusBadRequest, "sense=1h": http.StatusBadRequest,
	} {
		w := httptest.NewRecorder()
		Handler(f).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/report?"+query, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", query, w.Code, want)
		}
	}
	if _, err := readQuery("route=%"); !errors.Is(err, errQuery) { // which no request can be made of
		t.Error(err)
	}
	var r map[string]any
	w := httptest.NewRecorder()
	Handler(f).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/report", nil))
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil || r["routes"] == nil || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%s, %v", w.Body, err)
	}
}

// TestOneAtATime: while a report is made, another is refused, and then none is.
func TestOneAtATime(t *testing.T) {
	f, _ := newFigures(t, 10)
	h := Handler(f)
	codes := make(chan int, 2)
	ask := func() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/report", nil))
		codes <- w.Code
	}
	f.mu.Lock() // so that the one that comes first waits
	go ask()
	go ask()
	if code := <-codes; code != http.StatusServiceUnavailable {
		t.Errorf("the second: status %d", code)
	}
	f.mu.Unlock()
	for _, which := range []string{"the first", "a later one"} {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("%s: status %d", which, code)
		}
		go ask()
	}
	<-codes
}

// TestFetchesNoMore: an answer that is no report is repeated in part, on one line; a report has an end.
func TestFetchesNoMore(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"another page": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>\x1b[31m") },
		"refused": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, strings.Repeat("\x1b[31m", 1000), http.StatusTeapot)
		},
		"elsewhere": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
	} {
		s := httptest.NewServer(answer)
		_, err := Fetch(t.Context(), strings.TrimPrefix(s.URL, "http://"), Query{Since: time.Hour})
		s.Close()
		if !errors.Is(err, ErrNoReport) || len(err.Error()) > 2000 || strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%s: %v", name, err)
		}
		_, err = Fetch(t.Context(), strings.TrimPrefix(s.URL, "http://"), Query{Since: time.Hour})
		if !errors.Is(err, ErrNoRunner) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
