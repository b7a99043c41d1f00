package gateway

import (
	"fmt"
	"io"
	"net"
	"time"
)

// frameType is the first byte of a frame of the plugin protocol (ext-plugin-proto, A6).
type frameType byte

const (
	frameError       frameType = 0
	framePrepareConf frameType = 1
	frameHTTPReqCall frameType = 2
	frameExtraInfo   frameType = 3
	frameRespCall    frameType = 4 // HTTPRespCall
)

// writeFrame sends one frame: type, payload length in 3 bytes big-endian, payload. A payload above
// 2^24-1 bytes is refused, as APISIX refuses it: it would desync the stream.
func writeFrame(conn net.Conn, kind frameType, payload []byte) error {
	n := len(payload)
	if n > maxFramePayload {
		return fmt.Errorf("write frame: payload of %d bytes, at most %d fit", n, maxFramePayload)
	}
	if err := conn.SetWriteDeadline(time.Now().Add(runnerReadTimeout)); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	frame := append([]byte{byte(kind), byte(n >> 16), byte(n >> 8), byte(n)}, payload...)
	if _, err := conn.Write(frame); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	return nil
}

// readFrame reads one frame. Head and payload each have runnerReadTimeout, as APISIX's two receives have.
func readFrame(conn net.Conn) (frameType, []byte, error) {
	var head [4]byte
	if err := readBytes(conn, head[:]); err != nil {
		return 0, nil, fmt.Errorf("read frame: %w", err)
	}
	payload := make([]byte, int(head[1])<<16|int(head[2])<<8|int(head[3]))
	if err := readBytes(conn, payload); err != nil {
		return 0, nil, fmt.Errorf("read frame payload: %w", err)
	}
	return frameType(head[0]), payload, nil
}

func readBytes(conn net.Conn, into []byte) error {
	if len(into) == 0 {
		return nil
	}
	if err := conn.SetReadDeadline(time.Now().Add(runnerReadTimeout)); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, into)
	return err
}
