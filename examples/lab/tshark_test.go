//go:build linux

package lab

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestTShark has a capture file summed up by somebody else.
func TestTShark(t *testing.T) {
	requireLab(t)
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		skip(t, "no tshark: "+err.Error())
	}
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			var file bytes.Buffer
			flow, _, _ := captured(t, v, &file)
			path := filepath.Join(t.TempDir(), "capture.pcap")
			if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			got := sumTShark(t, tshark, path, int(flow.Key.Local.Port()))
			if want := [2]Totals{flow.RX, flow.TX}; got != want {
				t.Errorf("tshark: %+v\nwant %+v", got, want)
			}
		})
	}
}

// sumTShark returns rx and tx.
func sumTShark(t *testing.T, tshark, path string, localPort int) [2]Totals {
	t.Helper()
	command := exec.Command(tshark, "-n", "-r", path, "-Y", "tcp", "-T", "fields",
		"-e", "tcp.dstport", "-e", "ip.len", "-e", "ipv6.plen", "-e", "tcp.len", "-e", "tcp.flags")
	command.Env = append(os.Environ(), "HOME="+t.TempDir())
	var complaints bytes.Buffer
	command.Stderr = &complaints
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, complaints.String())
	}
	var sums [2]Totals
	for line := range strings.Lines(string(out)) {
		field := strings.Split(strings.TrimRight(line, "\n"), "\t")
		number := func(i int) int {
			n, err := strconv.ParseInt(field[i], 0, 32)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			return int(n)
		}
		s := Segment{PayloadLen: number(3), Segments: 1, Flags: uint16(number(4))}
		if field[1] != "" {
			s.IPBytes = number(1)
		} else {
			s.IPBytes = ipv6HeaderLen + number(2)
		}
		side := 1
		if number(0) == localPort {
			side = 0
		}
		sums[side].add(s)
	}
	return sums
}
