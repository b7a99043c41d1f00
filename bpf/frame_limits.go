package bpf

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"github.com/cilium/ebpf"
)

// Sizes of frames, in bytes.
const (
	ethernetHeader = 14
	surelyTaken    = 128 // by every kernel that has test runs of TC programs
	longestTried   = 256 << 10
)

// frameLimits are the sizes of frame that this kernel takes for a test run, in bytes. They differ between kernels.
type frameLimits struct {
	shortest map[uint16]int // by EtherType; 0 stands for all others
	longest  int
}

// probeFrameLimits finds them by trial runs of the program that does nothing.
func probeFrameLimits() (frameLimits, error) {
	spec, err := loadFivetuple()
	if err != nil {
		return frameLimits{}, fmt.Errorf("read the embedded object: %w", err)
	}
	var loaded struct {
		Empty *ebpf.Program `ebpf:"ft_empty"`
	}
	if err := spec.LoadAndAssign(&loaded, nil); err != nil {
		return frameLimits{}, explain("load a program for trial runs", err)
	}
	defer loaded.Empty.Close()
	limits := frameLimits{shortest: make(map[uint16]int)}
	for _, etherType := range []uint16{0, etherTypeIPv4, etherTypeIPv6} {
		if err := tryFrame(loaded.Empty, etherType, surelyTaken); err != nil {
			return frameLimits{}, explain(fmt.Sprintf("try a frame of %d bytes", surelyTaken), err)
		}
		limits.shortest[etherType] = ethernetHeader + sort.Search(surelyTaken-ethernetHeader, func(more int) bool {
			return tryFrame(loaded.Empty, etherType, ethernetHeader+more) == nil
		})
	}
	limits.longest = surelyTaken - 1 + sort.Search(longestTried-surelyTaken, func(more int) bool {
		return tryFrame(loaded.Empty, 0, surelyTaken+more) != nil
	})
	return limits, nil
}

const (
	etherTypeIPv4 = 0x0800
	etherTypeIPv6 = 0x86dd
)

func tryFrame(p *ebpf.Program, etherType uint16, size int) error {
	frame := make([]byte, size)
	binary.BigEndian.PutUint16(frame[12:], etherType)
	_, err := p.Run(&ebpf.RunOptions{Data: frame})
	return err
}

// fit returns a frame of a size that the kernel takes: zeros behind a short one, and a long one cut.
func (l frameLimits) fit(frame []byte) []byte {
	if len(frame) > l.longest {
		return frame[:l.longest]
	}
	frame = pad(frame, l.shortest[0])
	return pad(frame, l.shortest[binary.BigEndian.Uint16(frame[12:])])
}

// pad returns the frame with zeros behind it; the frame's own memory stays as it is.
func pad(frame []byte, size int) []byte {
	if len(frame) >= size {
		return frame
	}
	return append(slices.Clip(frame), make([]byte, size-len(frame))...)
}
