//go:build linux

package lab

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Missing returns what keeps a lab from working here, one sentence each with what to do about it; nothing
// when all is there. It builds a lab, listens in it and removes it, which takes some tenths of a second.
func Missing() []string {
	missing := missingCapabilities()
	if len(missing) > 0 {
		return missing
	}
	if err := tryLab(); err != nil {
		return []string{fmt.Sprintf("a trial lab does not work (%v): the kernel needs network namespaces, veth "+
			"(modprobe veth), packet sockets (modprobe af_packet) and IPv6, and the container, if this is one, "+
			"must be privileged and have a writable /proc/sys", err)}
	}
	return nil
}

func missingCapabilities() []string {
	held, err := effectiveCapabilities()
	if err != nil {
		return []string{fmt.Sprintf("the capabilities of this process are unknown (%v): mount /proc", err)}
	}
	var missing []string
	for _, c := range []struct {
		bit  uint
		name string
		why  string
	}{
		{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "to make and enter network namespaces"},
		{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", "to make interfaces"},
		{unix.CAP_NET_RAW, "CAP_NET_RAW", "to capture packets"},
	} {
		if held&(1<<c.bit) == 0 {
			missing = append(missing, fmt.Sprintf("%s is missing, %s: run as root, or give the process this capability",
				c.name, c.why))
		}
	}
	return missing
}

// effectiveCapabilities returns the set as bits.
func effectiveCapabilities() (uint64, error) {
	file, err := os.Open("/proc/thread-self/status")
	if err != nil {
		return 0, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if set, ok := strings.CutPrefix(lines.Text(), "CapEff:"); ok {
			return strconv.ParseUint(strings.TrimSpace(set), 16, 64)
		}
	}
	return 0, fmt.Errorf("read %s: no CapEff line", file.Name())
}

func tryLab() error {
	l, err := New(context.Background(), Options{})
	if err != nil {
		return err
	}
	defer l.Close()
	c, err := l.Gateway.Capture(GatewayFrontInterface, CaptureOptions{})
	if err != nil {
		return err
	}
	return c.Stop()
}
