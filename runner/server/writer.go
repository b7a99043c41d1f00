package server

import "net/http"

// writer takes an answer that a plugin gives in the upstream's place. As in the library, setting a header alone is none.
type writer struct {
	header http.Header
	body   []byte
	wrote  bool
	status int
}

func (w *writer) reset() { *w = writer{body: reuse(w.body, keepBuffer)} }

// Header implements http.ResponseWriter.
func (w *writer) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}

// Write implements http.ResponseWriter.
func (w *writer) Write(b []byte) (int, error) {
	w.wrote = true
	w.body = append(w.body, b...)
	return len(b), nil
}

// WriteHeader implements http.ResponseWriter; the first status counts.
func (w *writer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// answered says whether the call ends here.
func (w *writer) answered() bool { return w.wrote || w.status != 0 }

var _ http.ResponseWriter = (*writer)(nil)
