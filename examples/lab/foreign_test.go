//go:build linux

package lab

import (
	"fmt"
	"net"
	"os/exec"
	"testing"
)

// TestForeign: sockets and captures of a namespace that is known by a process in it only; closing it leaves it as it is.
func TestForeign(t *testing.T) {
	l := newLab(t, Options{})
	inside := exec.Command("sleep", "60")
	if err := l.Gateway.Start(inside); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = inside.Process.Kill()
		_ = inside.Wait()
	})
	f, err := OpenForeign(t.Context(), "foreign", fmt.Sprintf("/proc/%d/ns/net", inside.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	capture, err := f.Capture(GatewayFrontInterface, CaptureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := f.Listen(t.Context(), "tcp", net.JoinHostPort(GatewayFrontIPv4, "0"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Client.DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	_ = listener.Close()
	if err := capture.Stop(); err != nil {
		t.Error(err)
	}
	if flows := Flows(capture.Packets(), nil); len(flows) != 1 {
		t.Errorf("%d connections in the capture, want one", len(flows))
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if conn, err := l.Client.DialContext(t.Context(), "tcp", net.JoinHostPort(GatewayFrontIPv4, "9")); err == nil {
		t.Errorf("nobody listens, and %v is connected", conn.RemoteAddr())
	}
	if err := l.Gateway.Do(func() error { _, err := net.InterfaceByName(GatewayFrontInterface); return err }); err != nil {
		t.Errorf("the namespace has lost its interface: %v", err)
	}
	if _, err := OpenForeign(t.Context(), "none", "/proc/0/ns/net"); err == nil {
		t.Error("a namespace that is not there was opened")
	}
}
