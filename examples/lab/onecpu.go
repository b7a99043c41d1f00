//go:build linux

package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// receiveMask is the rps_cpus that new interfaces of the thread's namespace get, as a bit mask. It is per
// namespace, unlike most of net.core.
const receiveMask = "/proc/sys/net/core/rps_default_mask"

// receiveInOrder makes interfaces that are made later in the calling thread's namespace receive on one CPU. A
// veth pair hands a packet to the receive queue of the CPU that sent it, so two CPUs that send on one
// connection reorder it, and the figures of a quiet link are not the same twice. Kernels before 6.3 have no
// such setting; there packets may be reordered.
func receiveInOrder() error {
	err := os.WriteFile(receiveMask, []byte("1\n"), 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("receive on one CPU: %w", err)
	}
	return nil
}
