package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fivetuple/runner/calls"
)

const (
	callOfOrders = `{"time":"2026-11-24T12:00:01.000000Z","apisix.route_id":"orders","http.request.method":"POST","match":"exchange",` +
		`"orig_ip_bytes":1104,"orig_retransmitted_pkts":1,"resp_ip_bytes":6260,"resp_retransmitted_pkts":4,"rtt_us":23120,` +
		`"total_us":34000.001,"network_us":23000.001,"arriving_us":100.5,"waiting_us":99.5,"serving_us":9800,"leaving_us":1000}`
	callOfNobody = `{"time":"2026-11-24T12:00:02.000000Z","apisix.route_id":"global","http.request.method":"GET","match":"none","reason":"unknown-flow"}`
	hostileCall  = `{"time":"2026-11-24T12:00:03.000000Z","apisix.route_id":"\u001b[31mred","match":"shared","cut":true}`
	callsTable   = `TIME                        ROUTE                METHOD  MATCH                     TOTAL ms   NETWORK  ARRIVING   WAITING   SERVING   LEAVING       RTT  REQUEST B RESPONSE B   RETRANS
2026-11-24T12:00:01.000000Z orders               POST    exchange                    34.000    23.000     0.101     0.100     9.800     1.000    23.120       1104       6260       1/4
2026-11-24T12:00:02.000000Z global               GET     none;unknown-flow                -         -         -         -         -         -         -          -          -       -/-
2026-11-24T12:00:03.000000Z \u001b[31mred                shared;cut                       -         -         -         -         -         -         -          0          0       0/0
`
)

// callsCommand runs `fivetuple calls`.
func callsCommand(t *testing.T, args ...string) (out, aside string, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	root := newRootCommand()
	root.SetArgs(append([]string{"calls"}, args...))
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	err = root.ExecuteContext(t.Context())
	return stdout.String(), stderr.String(), err
}

// writeLog writes a log: an old file, and the current one.
func writeLog(t *testing.T, old, current string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "calls.jsonl")
	for name, text := range map[string]string{file: current, filepath.Join(filepath.Dir(file), "calls-2026-11-24T11-55-25.123.jsonl"): old} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

func TestCallsCommand(t *testing.T) {
	file := writeLog(t, callOfOrders+"\n", callOfNobody+"\n"+hostileCall+"\n")
	config := filepath.Join(t.TempDir(), "fivetuple.yaml")
	if err := os.WriteFile(config, []byte("calls: {file: "+file+"}"), 0o600); err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(callsTable, "\n")
	rows := strings.SplitAfter(callsTable, "\n")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--file", file}, callsTable},
		{[]string{"--config", config}, callsTable},
		{[]string{"--file", file, "--json"}, callOfOrders + "\n" + callOfNobody + "\n" + hostileCall + "\n"},
		{[]string{"--file", file, "--route", "orders"}, head + "\n" + rows[1]},
		{[]string{"--file", file, "--route", "global", "--json"}, callOfNobody + "\n"},
		{[]string{"--file", file, "--route", "none"}, ""},
		{[]string{"--file", file, "--route", ""}, ""},
	} {
		out, aside, err := callsCommand(t, c.args...)
		if d := cmp.Diff(c.want, out); err != nil || aside != "" || d != "" {
			t.Errorf("%v: %v %s\n(-want +got):\n%s", c.args, err, aside, d)
		}
	}
}

// TestCallsCommandAndDamage: the line is named, the others are printed, and the command fails.
func TestCallsCommandAndDamage(t *testing.T) {
	file := writeLog(t, "", callOfOrders+"\n{\n"+callOfNobody+"\n")
	out, aside, err := callsCommand(t, "--file", file, "--json")
	if out != callOfOrders+"\n"+callOfNobody+"\n" || !errors.Is(err, errDamaged) || !strings.HasSuffix(err.Error(), ": 1") {
		t.Errorf("%v\n%s", err, out)
	}
	if !strings.HasPrefix(aside, file+":2: "+calls.ErrDamaged.Error()) || strings.Count(aside, "\n") != 1 {
		t.Errorf("aside: %s", aside)
	}
}

func TestCallsCommandRefuses(t *testing.T) {
	config := filepath.Join(t.TempDir(), "fivetuple.yaml")
	if err := os.WriteFile(config, []byte(`calls: {file: ""}`), 0o600); err != nil {
		t.Fatal(err)
	}
	absent := filepath.Join(t.TempDir(), "absent.jsonl")
	for _, c := range []struct {
		args []string
		want error
	}{
		{[]string{"--config", config}, errNoLog},
		{[]string{"--file", absent}, os.ErrNotExist},
	} {
		if out, _, err := callsCommand(t, c.args...); !errors.Is(err, c.want) || out != "" {
			t.Errorf("%v: %v\n%s", c.args, err, out)
		}
	}
}
