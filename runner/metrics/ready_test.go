package metrics

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

func TestReadyz(t *testing.T) {
	age, interfaces := 0.5, uint32(2)
	for _, c := range []struct {
		state  Readiness
		status int
	}{
		{Readiness{Ready: true, Tables: true, HeartbeatAge: &age, Interfaces: &interfaces}, http.StatusOK},
		{
			Readiness{Reason: "pins", Error: "no tables", LastError: &Unready{Reason: "pins", Error: "no tables", At: time.Unix(1e9, 0).UTC()}},
			http.StatusServiceUnavailable,
		},
	} {
		w := httptest.NewRecorder()
		pages := Pages{Ready: ReadyHandler(func() Readiness { return c.state })}
		Handler(prometheus.NewRegistry(), pages).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		var got Readiness
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != c.status || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%d, %v, %v: %s", w.Code, w.Header(), err, w.Body)
		}
		if d := cmp.Diff(c.state, got); d != "" {
			t.Error(d)
		}
	}
}
