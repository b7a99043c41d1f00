package gateway

import (
	"io"
	"time"
)

// request is one request of a client, over whichever HTTP version it came.
type request struct {
	conn   *connection
	number uint64 // $connection_requests: counts the requests of the connection, from 1

	method  string
	target  string // as on the request line; of HTTP/2 :path
	proto   string // HTTP/1.0, HTTP/1.1 or HTTP/2.0
	headers headerList

	// headLength is the bytes of the head. Of HTTP/2, whose heads are compressed, it is what the same head
	// would have had uncompressed: an estimate.
	headLength int64
	// bodyLength is the bytes of the body read so far, with the chunks' framing.
	bodyLength func() int64
	// body is nil when the request has none. Its first Read asks the client for it (100-continue).
	body io.Reader
	// contentLength is the body's length in bytes, -1 where it is not declared.
	contentLength int64

	start time.Time
}

func (r *request) scheme() string {
	if r.conn.tlsVersion != "" {
		return "https"
	}
	return "http"
}

// answerer writes the answer to a request, once.
type answerer interface {
	// answer sends status and headers, and the body if there is one. length is the body's in bytes, -1 where
	// it is not known. Content-Length, Transfer-Encoding and Connection are the answerer's. An error means
	// that the client did not get the whole answer.
	answer(status int, headers headerList, body io.Reader, length int64) error
}
