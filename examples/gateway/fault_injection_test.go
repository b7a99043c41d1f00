package gateway

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestFaultInjectionPausesByPriority(t *testing.T) {
	const pause = 30 * time.Millisecond
	for name, meta := range map[string]string{"before ext-plugin-pre-req": "_meta: {priority: 12001}, ", "after it": ""} {
		t.Run(name, func(t *testing.T) {
			var plugin, upstream time.Time
			s := newStand(t, standOptions{
				reply: withAction(func(seenCall) frame {
					plugin = time.Now()
					return frame{kind: frameHTTPReqCall, payload: encodeAction(nil, nil)}
				}),
				upstream: func(http.ResponseWriter, *http.Request) { upstream = time.Now() },
				routes: `
routes:
  - id: r1
    uri: /*
    upstream: {type: roundrobin, nodes: {"UPSTREAM": 1}}
    plugins:
      ext-plugin-pre-req: {conf: [{name: fivetuple, value: '{}'}]}
      fault-injection: {` + meta + `delay: {duration: 0.03}}
`,
			})
			sent := time.Now()
			wantStatus(t, s.client().do(get("/a")), http.StatusOK)
			paused := upstream.Sub(plugin)
			if meta != "" {
				paused = plugin.Sub(sent)
			}
			if paused < pause {
				t.Errorf("paused for %v, want %v", paused, pause)
			}
		})
	}
}

func TestFaultInjectionIsRefusedWhereItCannotBePlayed(t *testing.T) {
	for value, want := range map[string]string{
		"{abort: {http_status: 500}}": `unknown field "abort"`,
		"{delay: {duration: soon}}":   "want a number of seconds",
		"{delay: {duration: -1}}":     "want seconds, 0 to 60",
		"{delay: {duration: 61}}":     "want seconds, 0 to 60",
	} {
		_, _, err := loadRoutes("f", []byte(goodRoute+"    plugins: {fault-injection: "+value+"}\n#END\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", value, err, want)
		}
	}
}
