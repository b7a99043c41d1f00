package stack

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"fivetuple/examples/lab"
)

// Echo is what the upstream answers with.
type Echo struct {
	Method  string      `json:"method"`
	Target  string      `json:"target"`
	Header  http.Header `json:"header"` // as it came: what a CGI-like upstream would read
	Body    int64       `json:"body"`   // bytes read
	Padding string      `json:"padding,omitempty"`
}

// upstream answers each request, when its body has come, with what it got. A request can ask for something else by its
// query, see answerOptions, or for another protocol, in which it gets back what it sends.
type upstream struct {
	server *http.Server
}

// answerOptions are what a request's query can ask for.
type answerOptions struct {
	wait  time.Duration // ?wait=100ms: before it answers
	pad   int           // ?pad=1000: bytes more in the answer
	early bool          // ?early: answers before the body has come
}

func readAnswerOptions(query url.Values) (o answerOptions) {
	o.wait, _ = time.ParseDuration(query.Get("wait"))
	o.pad, _ = strconv.Atoi(query.Get("pad"))
	o.early = query.Has("early")
	return o
}

func startUpstream(ctx context.Context, ns *lab.Namespace) (*upstream, error) {
	l, err := ns.Listen(ctx, "tcp", UpstreamAddress())
	if err != nil {
		return nil, err
	}
	u := &upstream{server: &http.Server{Handler: http.HandlerFunc(answer), ReadHeaderTimeout: time.Minute}}
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

func answer(w http.ResponseWriter, r *http.Request) {
	if protocol := r.Header.Get("Upgrade"); protocol != "" {
		echoUpgraded(w, protocol)
		return
	}
	o := readAnswerOptions(r.URL.Query())
	echo := Echo{Method: r.Method, Target: r.RequestURI, Header: r.Header, Padding: strings.Repeat("x", o.pad)}
	var err error
	if o.early { // the server would read the body first
		err = http.NewResponseController(w).EnableFullDuplex()
	} else {
		echo.Body, err = io.Copy(io.Discard, r.Body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	select {
	case <-time.After(o.wait):
	case <-r.Context().Done():
	}
	text, err := json.Marshal(echo)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = w.Write(text)
	if o.early {
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(io.Discard, r.Body)
	}
}

// echoUpgraded changes the protocol and sends back what comes, until the other side ends.
func echoUpgraded(w http.ResponseWriter, protocol string) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + protocol + "\r\n\r\n")
	if rw.Flush() == nil {
		_, _ = io.Copy(conn, rw)
	}
}
