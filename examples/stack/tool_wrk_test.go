package stack_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// wrkScript has wrk send so many requests in one write, and stop when a thread has so many responses; at the end it prints what it
// has sent and got. wrk asks once for requests before it begins, to see how many they are.
const wrkScript = `
local threads = {}
function setup(thread)
  table.insert(threads, thread)
end
function init(args)
  local one = {}
  for i = 1, %[1]d do
    one[i] = wrk.format("GET", "/insight/" .. i)
  end
  all = table.concat(one)
  sent = -%[1]d
  got = 0
end
function request()
  sent = sent + %[1]d
  return all
end
function response()
  got = got + 1
  if got == %[2]d then
    wrk.thread:stop()
  end
end
function done(summary)
  for _, thread in ipairs(threads) do
    print(string.format("%%d requests, %%d responses, %%d bytes, %%d errors", thread:get("sent"), thread:get("got"), summary.bytes, summary.errors.status))
  end
end
`

var wrkCounts = regexp.MustCompile(`(?m)^(\d+) requests, (\d+) responses, (\d+) bytes, 0 errors$`)

// TestWrk: wrk makes calls as fast as it can, one after the other on each connection or several in one write. The log has each that it
// made, also those whose responses it did not wait for. Calls that come in one write share their figures.
func TestWrk(t *testing.T) {
	const responses, connections = 1200, 4
	for _, test := range []struct {
		name, want string
		atOnce     int
	}{{"keep-alive", "exchange", 1}, {"pipelined", "shared", 8}} {
		t.Run(test.name, func(t *testing.T) {
			w := openSite(t, stack.Options{Offloads: true})
			script := filepath.Join(t.TempDir(), "wrk.lua")
			if err := os.WriteFile(script, fmt.Appendf(nil, wrkScript, test.atOnce, responses), 0o600); err != nil {
				t.Fatal(err)
			}
			out := w.run(w.s.Lab.Client, 0, nil, "wrk", "-t", "1", "-c", strconv.Itoa(connections), "-d", "2s", "-s", script,
				url("http", lab.GatewayFrontIPv4, "/"))
			counts := wrkCounts.FindStringSubmatch(out)
			if counts == nil {
				t.Fatalf("wrk:\n%s", out)
			}
			made, _ := strconv.Atoi(counts[1])
			got, _ := strconv.Atoi(counts[2])
			bytes, _ := strconv.ParseInt(counts[3], 10, 64)
			went := int64(0)
			for _, l := range w.calls(made) {
				went += l.RespPayload
				if l.String() != test.want {
					t.Errorf("call %d of port %d: %v, want %s", l.Requests, l.PeerPort, l, test.want)
				}
			}
			t.Logf("%d calls, %d responses read", made, got)
			if got == 0 || made-got > connections*test.atOnce || went < bytes {
				t.Errorf("%d bytes went; wrk:\n%s", went, out)
			}
		})
	}
}
