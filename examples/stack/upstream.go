package stack

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"fivetuple/examples/lab"
)

// Echo is what the upstream answers with.
type Echo struct {
	Method string      `json:"method"`
	Target string      `json:"target"`
	Header http.Header `json:"header"` // as it came: what a CGI-like upstream would read
	Body   int64       `json:"body"`   // bytes read
}

// upstream answers each request, when its body has come, with what it got.
type upstream struct {
	server *http.Server
}

func startUpstream(ctx context.Context, ns *lab.Namespace) (*upstream, error) {
	l, err := ns.Listen(ctx, "tcp", net.JoinHostPort(lab.UpstreamIPv4, strconv.Itoa(upstreamPort)))
	if err != nil {
		return nil, err
	}
	u := &upstream{server: &http.Server{Handler: http.HandlerFunc(echo), ReadHeaderTimeout: time.Minute}}
	go u.server.Serve(l) //nolint:errcheck // it ends with Close
	return u, nil
}

// Close ends the server; a nil one has nothing to end.
func (u *upstream) Close() error {
	if u == nil {
		return nil
	}
	return u.server.Close()
}

func echo(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(Echo{Method: r.Method, Target: r.RequestURI, Header: r.Header, Body: n})
}
