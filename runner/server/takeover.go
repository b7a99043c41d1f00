package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A runner that serves a socket listens on a second one beside it, where a process that takes its place asks for all it
// has. They speak in packets (SOCK_SEQPACKET): one byte of type, a text, and perhaps one descriptor (SCM_RIGHTS).
//
//	new                       old
//	hello(version)      ->
//	                    <-    hello(version)      or refusal(why)
//	                    <-    tokens..., tokensEnd        while it serves as before
//	ready               ->                                they are restored
//	                          it stops reading: every session ends between two frames
//	                    <-    listener
//	                    <-    connection...               each as it comes between two frames
//	                    <-    tokens..., tokensEnd        given out since the first ones
//	                    <-    end(connections)
//	ready               ->                                all is restored and adopted, nothing is read
//	                    <-    go                          from here on the old one reads nothing more
//	started             ->                                sent before the new one reads anything
//	                    <-    connection...               whose calls took longer than freezeWait
//	                    <-    tokens..., tokensEnd
//	                          it ends the connection by its own end, which is also the end of what it tells others:
//	                          exit 0; the socket's file stays
//
// At any time one of the two reads from a connection, and never both:
//
//   - The new one reads only after go. Without it, whatever happens, it ends and has read nothing.
//   - The old one keeps every descriptor. Before it has sent go it may take all back at any time (a time-out, an error, the
//     new one's end): it closes the control connection, so that go cannot come any more, and serves on.
//   - After go it takes all back if the control connection ends before started came: the new one, which closes it when it
//     gives up and sends started before it reads, has not read. Silence is no such sign: the new one may be slow, and will
//     read. It has everything then.
//
// Callers notice a pause between the first session's end and go. A connection whose call takes longer does not prolong it
// beyond freezeWait: the old one answers that call, and sends the connection then.
const (
	// controlSuffix names the socket beside the one that is served.
	controlSuffix = ".control"
	// controlMode keeps others out; whose process connects is looked at, too.
	controlMode = 0o600
	// takeOverVersion is of the packets and of how tokens are encoded.
	takeOverVersion = 1

	// stepWait bounds the wait for any one packet.
	stepWait = 2 * time.Second
	// restoreWait bounds the wait for the other one to restore the tokens: it has plugins parse each configuration.
	restoreWait = 10 * time.Second
	// endWait bounds the wait for the other process' end, when it has given everything.
	endWait = 10 * time.Second
	// freezeWait bounds how long the connections that are idle wait for those that are not.
	freezeWait = 250 * time.Millisecond
	// maxPacket is the longest packet, in bytes.
	maxPacket = 32 << 10
)

// packet is a packet's type.
type packet byte

// The types of packets.
const (
	packetHello packet = iota + 1
	packetRefusal
	packetTokens
	packetTokensEnd
	packetListener
	packetConnection
	packetEnd
	packetReady
	packetGo
	packetStarted
)

// String returns the type's name.
func (p packet) String() string {
	names := [...]string{
		"hello", "refusal", "tokens", "tokens' end", "listener", "connection", "end", "ready", "go", "started",
	}
	if p >= 1 && int(p) <= len(names) {
		return names[p-1]
	}
	return fmt.Sprintf("type %d", byte(p))
}

var (
	// errPeer means that the process at the other end is another user's.
	errPeer = errors.New("not our user's process, nor root's")
	// errPacket means that a packet came that makes no sense where it came.
	errPacket = errors.New("unexpected packet")
	// errRefused means that the running process does not let go.
	errRefused = errors.New("the running process refuses")
)

// control is one end of a take-over's connection.
type control struct {
	conn *net.UnixConn
}

// send sends a packet, with a descriptor if there is one.
func (c control) send(p packet, text []byte, descriptor syscallConn) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(stepWait)); err != nil {
		return err
	}
	message := append([]byte{byte(p)}, text...)
	err := withRights(descriptor, func(rights []byte) error {
		_, _, err := c.conn.WriteMsgUnix(message, rights, nil)
		return err
	})
	if err != nil {
		return fmt.Errorf("send %v: %w", p, err)
	}
	return nil
}

// receive waits for a packet. The file is nil if it came without a descriptor, and the caller's to close.
func (c control) receive(wait time.Duration) (p packet, text []byte, file *os.File, err error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return 0, nil, nil, err
	}
	buffer, rights := make([]byte, maxPacket), make([]byte, unix.CmsgSpace(4*maxRights))
	n, m, flags, _, err := c.conn.ReadMsgUnix(buffer, rights)
	if err != nil {
		return 0, nil, nil, fmt.Errorf("wait for a packet: %w", err)
	}
	files, err := parseRights(rights[:m])
	if err == nil && (n == 0 || len(files) > 1 || flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0) {
		err = fmt.Errorf("%w: %d bytes, %d descriptors, flags %#x", errPacket, n, len(files), flags)
	}
	if err != nil {
		closeAll(files)
		return 0, nil, nil, err
	}
	if len(files) == 1 {
		file = files[0]
	}
	return packet(buffer[0]), buffer[1:n], file, nil
}

// expect waits for a packet of one type, without a descriptor.
func (c control) expect(want packet, wait time.Duration) ([]byte, error) {
	p, text, file, err := c.receive(wait)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", want, err)
	}
	if file != nil {
		_ = file.Close()
	}
	switch {
	case p == packetRefusal:
		return nil, fmt.Errorf("%w: %s", errRefused, text)
	case p != want || file != nil:
		return nil, fmt.Errorf("%w: %v in place of %v", errPacket, p, want)
	}
	return text, nil
}

// helloText starts both sides' first packet; the version follows it.
const helloText = "fivetuple take-over "

func hello() []byte { return binary.BigEndian.AppendUint16([]byte(helloText), takeOverVersion) }

// checkHello reports a peer that is of another version, or something else altogether.
func checkHello(text []byte) error {
	if len(text) != len(helloText)+2 || string(text[:len(helloText)]) != helloText {
		return fmt.Errorf("%w: %q is no hello", errPacket, shorten(string(text)))
	}
	if v := binary.BigEndian.Uint16(text[len(helloText):]); v != takeOverVersion {
		return fmt.Errorf("%w: take-over of version %d, this one is of %d", errPacket, v, takeOverVersion)
	}
	return nil
}

// checkPeer reports a process at the other end that is neither our user's nor root's.
func checkPeer(conn *net.UnixConn) error {
	peer, err := peerOf(conn)
	if err != nil {
		return err
	}
	if peer.Uid != 0 && int(peer.Uid) != os.Geteuid() {
		return fmt.Errorf("%w: process %d of user %d", errPeer, peer.Pid, peer.Uid)
	}
	return nil
}

// isGone says whether an error means that the other end has closed the connection, or has ended.
func isGone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE)
}
