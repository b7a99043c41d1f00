package flow

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the specification names SHA-1; nothing is protected by it
	"encoding/base64"
	"encoding/binary"
)

// CommunityID returns the Community ID, version 1 with seed 0: the text by which Zeek, Suricata and Wireshark name the
// same flow, in either direction (https://github.com/corelight/community-id-spec).
func CommunityID(k Key) string {
	const seed = 0
	local, remote := k.LocalAddr(), k.RemoteAddr()
	a, b := local.Addr().AsSlice(), remote.Addr().AsSlice()
	aPort, bPort := k.LocalPort, k.RemotePort
	if order := bytes.Compare(a, b); order > 0 || order == 0 && aPort > bPort {
		a, b, aPort, bPort = b, a, bPort, aPort
	}
	text := make([]byte, 0, 2+16+16+2+4)
	text = binary.BigEndian.AppendUint16(text, seed)
	text = append(text, a...)
	text = append(text, b...)
	text = append(text, k.Proto, 0)
	text = binary.BigEndian.AppendUint16(text, aPort)
	text = binary.BigEndian.AppendUint16(text, bPort)
	sum := sha1.Sum(text) //nolint:gosec // see above
	return "1:" + base64.StdEncoding.EncodeToString(sum[:])
}
