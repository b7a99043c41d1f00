package gateway

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// serverName is the Server header of every answer: nobody should take the stand-in for the real one.
const serverName = "fivetuple-standin"

// localAnswer is an answer that no upstream gave: the runner's, or the gateway's own page.
func (c *call) localAnswer(status int) (int, headerList, io.Reader, int64) {
	headers := headerList{{"Date", httpDate(c.gateway.now())}}
	kind := "text/plain; charset=utf-8"
	body, length := c.stopBody, int64(-1) // APISIX chunks what the runner says
	switch {
	case len(body) > 0:
	case status == http.StatusNotFound && c.route == nil:
		body = []byte(`{"error_msg":"404 Route Not Found"}` + "\n")
	case status >= http.StatusMultipleChoices:
		kind, body = "text/html; charset=utf-8", errorPage(status)
		length = int64(len(body))
	default:
		length = 0
	}
	if _, ok := c.response.get("Content-Type"); !ok && len(body) > 0 {
		headers = append(headers, header{"Content-Type", kind})
	}
	headers = append(headers, c.response.remove(framingName)...)
	return status, append(headers, header{"Server", serverName}), bytes.NewReader(body), length
}

func errorPage(status int) []byte {
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	return fmt.Appendf(nil, "<html>\n<head><title>%s</title></head>\n<body><h1>%s</h1><p>%s: a stand-in, not APISIX</p></body>\n</html>\n",
		title, title, serverName)
}

// framingName says whether a header belongs to the connection and not to the message, or is always set
// by the gateway itself.
func framingName(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Connection", "Keep-Alive", "Transfer-Encoding", "Content-Length", "Upgrade", "Te", "Trailer",
		"Proxy-Connection", "Server", "Date":
		return true
	default:
		return false
	}
}

func formatLength(n int64) string { return strconv.FormatInt(n, 10) }
