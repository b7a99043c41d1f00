package stack_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// hostilePort is where the hostile upstream serves.
const hostilePort = 1981

// hostileAnswers are what an upstream can do to the gateway that calls it, by the call's path. Each has the connection for itself.
func hostileAnswers() map[string]func(c *net.TCPConn) {
	write := func(c io.Writer, text string) { _, _ = io.WriteString(c, text) }
	reset := func(c *net.TCPConn) { _ = c.SetLinger(0) }
	return map[string]func(c *net.TCPConn){
		"single-bytes": func(c *net.TCPConn) {
			for _, b := range []byte("HTTP/1.1 200 OK\r\nX-Split: header\r\nContent-Length: 300\r\n\r\n" + strings.Repeat("x", 300)) {
				_, _ = c.Write([]byte{b})
			}
		},
		"informational": func(c *net.TCPConn) {
			write(c, strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 20_000)+"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		},
		"few-informational": func(c *net.TCPConn) {
			write(c, strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 4)+"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		},
		"endless-header": func(c *net.TCPConn) {
			write(c, "HTTP/1.1 200 OK\r\nX-Long: ")
			for range 16 << 4 {
				write(c, strings.Repeat("h", 64<<10))
			}
		},
		"many-headers": func(c *net.TCPConn) {
			write(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n")
			for i := range 5000 {
				write(c, fmt.Sprintf("X-%d: x\r\n", i))
			}
			write(c, "\r\nok")
		},
		"our-headers": func(c *net.TCPConn) {
			write(c, "HTTP/1.1 200 OK\r\nX-Packet-Match: exchange;n=99\r\nX-Packet-Tuple: 1 2 3\r\nX-Packet-Anomaly: 1.0\r\nContent-Length: 2\r\n\r\nok")
		},
		"reset-at-once":  reset,
		"reset-in-body":  func(c *net.TCPConn) { write(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbegun"); reset(c) },
		"closed-in-head": func(c *net.TCPConn) { write(c, "HTTP/1.1 20") },
		"too-short":      func(c *net.TCPConn) { write(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort") },
		"too-long": func(c *net.TCPConn) {
			write(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"+strings.Repeat("more", 10))
		},
		"two-lengths": func(c *net.TCPConn) {
			write(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokay")
		},
		"negative": func(c *net.TCPConn) { write(c, "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok") },
		"bad-chunk": func(c *net.TCPConn) {
			write(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\nok")
		},
		"tiny-chunks": func(c *net.TCPConn) {
			write(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+strings.Repeat("1\r\nx\r\n", 100_000)+"0\r\n\r\n")
		},
		"large": func(c *net.TCPConn) {
			write(c, "HTTP/1.1 200 OK\r\nContent-Length: 33554432\r\n\r\n"+strings.Repeat("x", 32<<20))
		},
		"switched": func(c *net.TCPConn) {
			write(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nanything")
		},
		"garbage":    func(c *net.TCPConn) { write(c, "\x00\xff\x16\x03\x01 no HTTP \r\n\r\n") },
		"no-content": func(c *net.TCPConn) { write(c, "HTTP/1.1 204 No Content\r\nContent-Length: 1000\r\n\r\nbody of none") },
		"nothing":    func(*net.TCPConn) {},
	}
}

var hostilePath = regexp.MustCompile(`^GET /insight/([\w-]+) `)

// serveHostile answers calls until the test ends.
func serveHostile(t *testing.T, l net.Listener) {
	t.Helper()
	answers := hostileAnswers()
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				c := conn.(*net.TCPConn)
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(20 * time.Second))
				in := bufio.NewReader(c)
				request, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, request.Body)
				if m := hostilePath.FindStringSubmatch("GET " + request.RequestURI + " "); m != nil && answers[m[1]] != nil {
					answers[m[1]](c)
				}
			}()
		}
	}()
}

// hostileCall makes a call on a connection of its own, reads whatever comes, and returns the connection.
func hostileCall(ctx context.Context, t *testing.T, s *stack.Stack, name string) (key lab.FlowKey, answer []byte) {
	t.Helper()
	conn, err := s.Lab.Client.DialContext(ctx, "tcp", net.JoinHostPort(lab.GatewayFrontIPv4, strconv.Itoa(stack.Port)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := fmt.Fprintf(conn, "GET /insight/%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", name); err != nil {
		t.Fatal(err)
	}
	answer, err = io.ReadAll(conn)
	if err != nil && ctx.Err() == nil && strings.Contains(err.Error(), "timeout") {
		t.Errorf("%s: the gateway never ended it: %v", name, err)
	}
	return lab.FlowKey{Local: addrPort(conn.RemoteAddr()), Remote: addrPort(conn.LocalAddr())}, answer
}

// TestHostileUpstream: whatever an upstream answers, the call's figures are those of a capture, or the call says that they are not all;
// none of its headers is taken for ours, and nothing in the runner grows.
func TestHostileUpstream(t *testing.T) {
	upstream := net.JoinHostPort(lab.UpstreamIPv4, strconv.Itoa(hostilePort))
	ctx, s := start(t, stack.Options{Upstream: upstream})
	l, err := s.Lab.Upstream.Listen(ctx, "tcp", upstream)
	if err != nil {
		t.Fatal(err)
	}
	serveHostile(t, l)
	capture, err := s.Capture(lab.CaptureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	calls := map[lab.FlowKey]string{}
	for round := range 3 {
		for name := range hostileAnswers() {
			key, answer := hostileCall(ctx, t, s, name)
			calls[key] = name
			if round == 0 {
				t.Logf("%s: the client got %d bytes: %.40q", name, len(answer), answer)
			}
		}
	}
	var lines []logged
	waitUntil(t, func() bool { lines = readLog(t, s.CallsFile()); return len(lines) == len(calls) })
	if err := capture.Stop(); err != nil {
		t.Fatal(err)
	}
	flows, exact := lab.Flows(capture.Packets(), nil), 0
	for _, line := range lines {
		key := lab.FlowKey{
			Local:  netip.AddrPortFrom(netip.MustParseAddr(lab.GatewayFrontIPv4), stack.Port),
			Remote: netip.AddrPortFrom(netip.MustParseAddr(line.Peer), uint16(line.PeerPort)),
		}
		name := calls[key]
		if name == "" || flows[key] == nil || line.Route != "insight" || line.Flagged {
			t.Errorf("%q: %+v", name, line)
			continue
		}
		f, err := flows[key].Between(line.First, line.Last, 1<<62)
		got, want := [4]int64{line.Packets, line.Bytes, line.RespPackets, line.RespBytes}, [4]int64{int64(f.RXPackets), int64(f.RXBytes), int64(f.TXPackets), int64(f.TXBytes)}
		if err != nil || got != want && !line.Cut || line.Match != "exchange" {
			t.Errorf("%s: packets and bytes, in and out: the log has %v, the capture %v; %v, %+v", name, got, want, err, line)
		}
		if got == want {
			exact++
		}
	}
	t.Logf("the figures of %d of %d calls are the capture's", exact, len(lines))
	if rss := residentKB(t, s.RunnerPID()); rss > 200<<10 {
		t.Errorf("the runner has %d KB", rss)
	}
}

// residentKB returns the resident memory of a process.
func residentKB(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(status) {
		if fields := strings.Fields(string(line)); len(fields) == 3 && fields[0] == "VmRSS:" {
			kb, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			return kb
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
