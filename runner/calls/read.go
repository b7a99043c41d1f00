package calls

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxLine is the longest line that is read, in bytes; the log's own are below 4 KiB.
const maxLine = 64 << 10

// ErrDamaged means that a line of the log is none of its lines.
var ErrDamaged = errors.New("not a line of the log")

// Line is a line of the log, read back: what people are shown of it. Text is the whole, and only valid until the next line.
type Line struct {
	Text []byte `json:"-"`

	Time          string  `json:"time"`
	Route         string  `json:"apisix.route_id"`
	Method        string  `json:"http.request.method"`
	Match         string  `json:"match"`
	Reason        string  `json:"reason"`
	Cut           bool    `json:"cut"`
	Flagged       bool    `json:"flagged"`
	TotalUS       float64 `json:"total_us"`
	NetworkUS     float64 `json:"network_us"`
	ArrivingUS    float64 `json:"arriving_us"`
	WaitingUS     float64 `json:"waiting_us"`
	ServingUS     float64 `json:"serving_us"`
	LeavingUS     float64 `json:"leaving_us"`
	RTTUS         uint64  `json:"rtt_us"`
	RequestBytes  uint64  `json:"orig_ip_bytes"`
	ResponseBytes uint64  `json:"resp_ip_bytes"`
	// Segments that were sent again.
	RequestRetransmitted  uint64 `json:"orig_retransmitted_pkts"`
	ResponseRetransmitted uint64 `json:"resp_retransmitted_pkts"`
}

// Reader reads files of the log line by line.
type Reader struct {
	take    func(*Line) error
	damaged func(error)
	file    *os.File
	lines   *bufio.Reader
	number  int
	offset  int64  // of what was read of the file
	tail    []byte // what was read last, see truncated.go
	rest    []byte // of a line whose end is not there yet
	tooLong bool
}

// NewReader returns a reader that hands each line to take, until that fails, and tells damaged of each that is none, by
// file and number (ErrDamaged), and of lines that Follow may have missed (ErrTruncated).
func NewReader(take func(*Line) error, damaged func(error)) *Reader {
	return &Reader{take: take, damaged: damaged}
}

// Read reads the log's files to their ends, the oldest first.
func (r *Reader) Read(file string) error {
	if _, err := Files(file); err != nil {
		return err
	}
	if err := r.step(file); err != nil || r.file == nil {
		return err
	}
	return r.close()
}

func (r *Reader) begin(f *os.File) {
	r.file, r.lines = f, bufio.NewReader(f)
	r.number, r.offset, r.tail, r.rest, r.tooLong = 0, 0, r.tail[:0], r.rest[:0], false
}

// close ends a file.
func (r *Reader) close() error { return errors.Join(r.lastLine(), r.file.Close()) }

// lastLine takes a line without its end, which is one all the same if it is whole.
func (r *Reader) lastLine() error {
	if len(r.rest) == 0 && !r.tooLong {
		return nil
	}
	return r.line()
}

// toEnd reads what is there now.
func (r *Reader) toEnd() error {
	for {
		part, err := r.lines.ReadSlice('\n')
		r.consumed(part)
		if len(r.rest)+len(part) > maxLine {
			r.tooLong = true
			r.rest = r.rest[:0]
		}
		if !r.tooLong {
			r.rest = append(r.rest, part...)
		}
		switch {
		case err == nil:
			if err := r.line(); err != nil {
				return err
			}
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return nil
		default:
			return err
		}
	}
}

// line takes a line that is complete.
func (r *Reader) line() error {
	r.number++
	text, tooLong := r.rest, r.tooLong
	r.rest, r.tooLong = r.rest[:0], false
	if n := len(text); n > 0 && text[n-1] == '\n' {
		text = text[:n-1]
	}
	if len(text) == 0 && !tooLong { // the writer's, behind one that it could not write to its end
		return nil
	}
	l := Line{Text: text}
	err := json.Unmarshal(text, &l)
	switch {
	case tooLong:
		err = fmt.Errorf("longer than %d bytes", maxLine)
	case err == nil && (l.Time == "" || l.Match == ""):
		err = errors.New("it has no time or no match")
	}
	if err != nil {
		r.damaged(fmt.Errorf("%s:%d: %w: %w", r.file.Name(), r.number, ErrDamaged, err))
		return nil
	}
	return r.take(&l)
}
