package gateway

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
)

const websocketRoute = `
routes:
  - id: r1
    uri: /*
    enable_websocket: true
    upstream: {type: roundrobin, nodes: {"UPSTREAM": 1}}
    plugins: {ext-plugin-pre-req: {conf: [{name: fivetuple, value: '{}'}]}}
`

// echoUpgraded changes to a protocol that says everything twice.
func echoUpgraded(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "websocket" || !strings.EqualFold(r.Header.Get("Connection"), "upgrade") {
		http.Error(w, "no change asked for", http.StatusBadRequest)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	_ = rw.Flush()
	for {
		line, err := rw.ReadString('\n')
		if err != nil || line == "end\n" {
			return
		}
		_, _ = rw.WriteString(line + line)
		_ = rw.Flush()
	}
}

const upgradeRequest = "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

func TestUpgradedConnectionsCarryBothWays(t *testing.T) {
	s := newStand(t, standOptions{routes: websocketRoute, upstream: echoUpgraded})
	for _, end := range []string{"client", "upstream"} {
		c := s.client()
		c.send(upgradeRequest + "early\n") // behind the head in one segment
		resp, err := http.ReadResponse(c.br, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Upgrade") != "websocket" || resp.Header.Get("Connection") != "upgrade" {
			t.Fatalf("%s, %v", resp.Status, resp.Header)
		}
		wantLines(t, c.br, "early\nearly\n")
		c.send("a\n")
		wantLines(t, c.br, "a\na\n")
		if end == "client" {
			_ = c.conn.Close()
		} else {
			c.send("end\n")
			if rest, err := io.ReadAll(c.br); err != nil || len(rest) > 0 {
				t.Errorf("after the end: %q, %v", rest, err)
			}
		}
		if a := <-s.accesses; a.Status != http.StatusSwitchingProtocols { // the call ends with the connection
			t.Errorf("status %d in the access log", a.Status)
		}
	}
	if got := s.runner.kinds(); got != "PCC" {
		t.Errorf("frames %s, want PCC: one call a connection", got)
	}
}

func wantLines(t *testing.T, from *bufio.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(from, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

func TestUpgradeWantsItsRoute(t *testing.T) {
	s := newStand(t, standOptions{routes: strings.Replace(websocketRoute, "true", "false", 1), upstream: echoUpgraded})
	wantStatus(t, s.client().do(upgradeRequest), http.StatusBadRequest) // the upstream's: it was not asked
}
