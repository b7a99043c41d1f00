// Command upstream is the server behind the gateway of the Compose example: it answers each request with the request's own
// line and headers, so that a person sees which headers the gateway sent. With -check it asks a running upstream for an
// answer and exits, which is the health check of an image without a shell.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"os"
	"time"
)

const (
	headerTimeout = 10 * time.Second // for a request's head
	checkTimeout  = 2 * time.Second
)

// errUnhealthy means that the upstream answered with another status than 200.
var errUnhealthy = errors.New("the upstream is unhealthy")

func main() {
	listen := flag.String("listen", ":8080", "address to serve on")
	url := flag.String("check", "", "ask this URL for an answer, and exit with 1 without one")
	flag.Parse()
	if err := run(*listen, *url); err != nil {
		log.Print("upstream: ", err)
		os.Exit(1)
	}
}

func run(listen, url string) error {
	if url != "" {
		return check(url)
	}
	log.Print("upstream: listening on ", listen)
	server := &http.Server{Addr: listen, Handler: http.HandlerFunc(answer), ReadHeaderTimeout: headerTimeout}
	return server.ListenAndServe()
}

// answer sends the request back, without its body, when the body has arrived: an earlier answer would make the next call on the
// connection `shared;reason=early-response`.
func answer(w http.ResponseWriter, r *http.Request) {
	head, err := httputil.DumpRequest(r, false)
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(w, "%s", head)
}

// check asks a running upstream for an answer.
func check(url string) error {
	client := &http.Client{Timeout: checkTimeout}
	res, err := client.Get(url)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %s answered %s", errUnhealthy, url, res.Status)
	}
	return nil
}
