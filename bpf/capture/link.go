package capture

import (
	"encoding/binary"
	"fmt"
)

// linkType is what a packet begins with, as the file formats number them (https://www.tcpdump.org/linktypes.html).
type linkType uint16

const (
	linkEthernet   linkType = 1
	linkTokenRing  linkType = 6
	linkFDDI       linkType = 10
	linkNull       linkType = 0
	linkRawBSD     linkType = 12
	linkRawOpenBSD linkType = 14
	linkRaw        linkType = 101
	linkLoop       linkType = 108
	linkLinuxSLL   linkType = 113
	linkIPv4       linkType = 228
	linkIPv6       linkType = 229
	linkLinuxSLL2  linkType = 276
)

// toEthernet returns a packet as a frame: an Ethernet header takes the place of another link's.
func toEthernet(p record) (Frame, error) {
	frame := Frame{Time: p.time, Data: p.data, Length: max(p.length, len(p.data))}
	header, etherType := 0, noEtherType
	switch p.link {
	case linkEthernet:
		return frame, nil
	case linkRawBSD, linkRawOpenBSD, linkRaw, linkIPv4, linkIPv6:
	case linkNull, linkLoop:
		header = 4
	case linkLinuxSLL:
		header, etherType = 16, 14
	case linkLinuxSLL2:
		header, etherType = 20, 0
	default:
		return Frame{}, fmt.Errorf("%w: %d", ErrLink, p.link)
	}
	frame.Length = max(frame.Length-header, 0) + ethernetHeader
	frame.Data = nil // cut before its link header's end: nothing can be said of it
	if len(p.data) >= header {
		frame.Data = append(ethernet(p.data, header, etherType), p.data[header:]...)
	}
	return frame, nil
}

const (
	ethernetHeader = 14
	noEtherType    = -1
	etherTypeIPv4  = 0x0800
	etherTypeIPv6  = 0x86dd
)

// ethernet returns a header in the place of one that has its EtherType at an offset, or none: then the IP packet's first
// byte tells.
func ethernet(data []byte, header, etherType int) []byte {
	out := make([]byte, ethernetHeader, ethernetHeader+len(data)-header)
	switch {
	case etherType != noEtherType:
		copy(out[12:], data[etherType:etherType+2])
	case len(data) > header && data[header]>>4 == 6:
		binary.BigEndian.PutUint16(out[12:], etherTypeIPv6)
	default:
		binary.BigEndian.PutUint16(out[12:], etherTypeIPv4)
	}
	return out
}
