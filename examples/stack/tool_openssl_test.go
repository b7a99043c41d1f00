package stack_test

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// dialog is somebody at a terminal who types to a program and reads what it prints.
type dialog struct {
	*output
	t    *testing.T
	in   io.WriteCloser
	cmd  *exec.Cmd
	read int // bytes of the output
}

// sClient starts openssl s_client in the client's namespace and waits until the handshake is done.
func (w *site) sClient(flags ...string) *dialog {
	w.t.Helper()
	args := append([]string{"s_client", "-nocommands", "-connect", net.JoinHostPort(lab.GatewayFrontIPv4, fmt.Sprint(stack.TLSPort))}, flags...)
	d := &dialog{output: &output{}, t: w.t, cmd: exec.CommandContext(w.ctx, program(w.t, "openssl"), args...)}
	d.cmd.Stdout, d.cmd.Stderr = d.output, d.output
	var err error
	if d.in, err = d.cmd.StdinPipe(); err == nil {
		err = w.s.Lab.Client.Start(d.cmd)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	d.expect("Verify return code")
	return d
}

// types types a text in pieces, with a pause behind each but the last.
func (d *dialog) types(pause time.Duration, pieces ...string) {
	d.t.Helper()
	for i, piece := range pieces {
		if _, err := io.WriteString(d.in, piece); err != nil {
			d.t.Fatalf("type: %v\n%s", err, d)
		}
		if i < len(pieces)-1 {
			time.Sleep(pause)
		}
	}
}

// expect waits until the program has printed a text, behind what was expected before.
func (d *dialog) expect(text string) {
	d.t.Helper()
	waitUntil(d.t, func() bool {
		printed := d.String()
		at := strings.Index(printed[d.read:], text)
		if at >= 0 {
			d.read += at + len(text)
		}
		return at >= 0
	})
}

// ends ends the input and waits for the program's end.
func (d *dialog) ends() {
	d.t.Helper()
	_ = d.in.Close()
	if err := d.cmd.Wait(); err != nil {
		d.t.Errorf("openssl: %v\n%s", err, d)
	}
}

// TestOpenSSLTypedRequests: somebody types requests over TLS, piece by piece. Each is one call, with a packet for each piece and the bytes
// of a TLS record around it, and its time is that of the typing. Connections on which nobody asks for anything are no calls.
func TestOpenSSLTypedRequests(t *testing.T) {
	const pause = 40 * time.Millisecond
	request := []string{"GET /insight/typed HTTP/1.1\r\n", "Host: ", "gateway\r\n", "\r\n"}
	w := openSite(t, stack.Options{TLS: certificate(t), Offloads: true})
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		d := w.sClient(version)
		for range 3 {
			d.types(pause, request...)
			d.expect("HTTP/1.1 200 OK")
			d.expect(`"method":"GET"`)
		}
		d.ends()
	}
	w.sClient("-tls1_2", "-reconnect").ends()
	w.sClient("-tls1_3").ends()
	w.wantNoSource()
	for i, l := range w.calls(6) {
		first, last := i%3 == 0, i%3 == 2
		want := "exchange;tls"
		if first {
			want += ";handshake"
		}
		if l.String() != want {
			t.Errorf("call %d: %v, want %s", i+1, l, want)
		}
		if first || last {
			continue // the end of the handshake, and that of the connection, are in the figures of the call beside them
		}
		record := int64(5 + 8 + 16) // RFC 5246, 6.2.3.3 and RFC 5288, 3: header, nonce, tag
		if i >= 3 {
			record = 5 + 1 + 16 // RFC 8446, 5.2: header, type, tag
		}
		if n := int64(len(request)); l.Packets != n || l.Payload != int64(len(strings.Join(request, "")))+n*record {
			t.Errorf("call %d: %d bytes in %d packets", i+1, l.Payload, l.Packets)
		}
		if typing := float64((3 * pause).Microseconds()); l.Arriving < typing || l.Arriving > l.Total {
			t.Errorf("call %d: arriving for %v of %v us; the typing took %v", i+1, l.Arriving, l.Total, typing)
		}
	}
}

// TestOpenSSLWebSocket: a connection changes its protocol inside TLS. All that follows has its figures with the call that asked for the change.
func TestOpenSSLWebSocket(t *testing.T) {
	w := openSite(t, stack.Options{TLS: certificate(t), Offloads: true})
	d := w.sClient("-tls1_3")
	d.types(0, "GET /websocket/chat HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	d.expect("HTTP/1.1 101 Switching Protocols")
	const messages = 5
	for n := range messages {
		text := fmt.Sprintf("message %d\n", n)
		d.types(0, text)
		d.expect(text)
	}
	d.ends()
	l := w.calls(1)[0]
	if l.String() != "exchange;tls;handshake" || l.Last-l.First < messages || l.Packets < messages+1 || l.RespPackets < messages+1 {
		t.Errorf("%v: %+v", l, struct{ logged }{l})
	}
}
