package lab

import "encoding/binary"

// splitGSO cuts a whole merged frame into the frames of its segments, as TSO does: same headers, with length,
// IPv4 identification and header checksum, sequence number and flags of their own. TCP checksums are left as
// they are: the stack leaves them to the network card, so they were never right.
func splitGSO(frame []byte, size int) ([][]byte, error) {
	l, err := parseFrame(frame, len(frame))
	if err != nil {
		return nil, err
	}
	payload := frame[l.payload:min(l.end(), len(frame))]
	var frames [][]byte
	for at := 0; at < len(payload); at += size {
		part := payload[at:min(at+size, len(payload))]
		cut := make([]byte, 0, l.payload+len(part))
		cut = append(append(cut, frame[:l.payload]...), part...)
		l.renumberIP(cut, uint16(len(frames)))
		l.renumberTCP(cut, uint32(at), at+size >= len(payload))
		frames = append(frames, cut)
	}
	if len(frames) == 0 {
		return [][]byte{frame}, nil
	}
	return frames, nil
}

// renumberIP gives segment number index its lengths.
func (l layout) renumberIP(frame []byte, index uint16) {
	header := frame[l.ip:]
	if header[0]>>4 == 6 {
		binary.BigEndian.PutUint16(header[4:], uint16(len(header)-ipv6HeaderLen))
		return
	}
	binary.BigEndian.PutUint16(header[2:], uint16(len(header)))
	binary.BigEndian.PutUint16(header[4:], binary.BigEndian.Uint16(header[4:])+index)
	binary.BigEndian.PutUint16(header[10:], 0)
	binary.BigEndian.PutUint16(header[10:], checksum(header[:int(header[0]&0x0f)*4]))
}

// renumberTCP moves the sequence number to the segment's place in the payload, and gives it its flags.
func (l layout) renumberTCP(frame []byte, at uint32, last bool) {
	tcp := frame[l.tcp:]
	binary.BigEndian.PutUint32(tcp[4:], binary.BigEndian.Uint32(tcp[4:])+at)
	const flagsMask = 0x1ff
	word := binary.BigEndian.Uint16(tcp[12:])
	binary.BigEndian.PutUint16(tcp[12:], word&^flagsMask|cutFlags(word&flagsMask, at == 0, last))
}

// checksum is the Internet checksum (RFC 1071) of a header whose checksum field is 0.
func checksum(header []byte) uint16 {
	var sum uint32
	for at := 0; at+1 < len(header); at += 2 {
		sum += uint32(binary.BigEndian.Uint16(header[at:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
