package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// kind is a frame's type, its first byte.
type kind byte

// The types of frames.
const (
	kindError        kind = 0
	kindPrepareConf  kind = 1
	kindHTTPReqCall  kind = 2
	kindExtraInfo    kind = 3
	kindHTTPRespCall kind = 4
)

// String returns the type's name in the protocol.
func (k kind) String() string {
	names := [...]string{"Error", "PrepareConf", "HTTPReqCall", "ExtraInfo", "HTTPRespCall"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("type %d", byte(k))
}

const (
	// frameHeader is the length of a frame's header: its type and, in three bytes, the payload's length.
	frameHeader = 4
	// MaxFrame is the longest payload that the header can tell, in bytes.
	MaxFrame = 1<<24 - 1
	// keepBuffer is the largest buffer that is kept for the next frame.
	keepBuffer = 16 << 10
	// keepEntries is the same of a list of names and values.
	keepEntries = 256
	// firstBuffer is how much room a payload gets before its bytes have come. It doubles as they come.
	firstBuffer = 4096
)

// reuse empties a list and keeps its room for the next call, up to a bound.
func reuse[E any](list []E, most int) []E {
	if cap(list) > most {
		return nil
	}
	clear(list)
	return list[:0]
}

// errFrameTooLong means that an answer does not fit into a frame.
var errFrameTooLong = errors.New("answer is longer than a frame")

// readFrame reads one frame whole. The payload lies in the buffer, which grows as the bytes come, so that a length alone
// takes no memory. io.EOF means that the peer closed the connection between two frames.
func readFrame(r io.Reader, buffer []byte) (kind, []byte, error) {
	if cap(buffer) < frameHeader || cap(buffer) > keepBuffer {
		buffer = make([]byte, 0, firstBuffer)
	}
	header := buffer[:frameHeader]
	if _, err := io.ReadFull(r, header); err != nil {
		return 0, buffer, err
	}
	k, length := kind(header[0]), int(header[1])<<16|int(header[2])<<8|int(header[3])
	payload := buffer[:0]
	for len(payload) < length {
		if len(payload) == cap(payload) {
			grown := make([]byte, len(payload), min(length, 2*cap(payload)))
			copy(grown, payload)
			payload = grown
		}
		end := min(length, cap(payload))
		n, err := io.ReadFull(r, payload[len(payload):end])
		payload = payload[:len(payload)+n]
		if err != nil {
			return 0, payload, fmt.Errorf("read %v of %d bytes: %w", k, length, noEOF(err))
		}
	}
	return k, payload, nil
}

// noEOF makes the end of a connection amid a frame an error.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// putHeader writes a frame's header.
func putHeader(header []byte, k kind, length int) error {
	if length > MaxFrame {
		return fmt.Errorf("%w: %v of %d bytes, at most %d", errFrameTooLong, k, length, MaxFrame)
	}
	binary.BigEndian.PutUint32(header, uint32(length))
	header[0] = byte(k)
	return nil
}
