package switches_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pkghttp "github.com/apache/apisix-go-plugin-runner/pkg/http"
	"github.com/apache/apisix-go-plugin-runner/pkg/plugin"
	"github.com/api7/ext-plugin-proto/go/A6"
	"github.com/api7/ext-plugin-proto/go/A6/HTTPReqCall"
	"github.com/api7/ext-plugin-proto/go/A6/PrepareConf"
	flatbuffers "github.com/google/flatbuffers/go"
	"github.com/rs/zerolog"

	"fivetuple/correlator"
	"fivetuple/runner/server"
	"fivetuple/runner/switches"
)

// within is how soon a change is in force.
const within = time.Second

// busy is a plugin that changes all it can of a call.
type busy struct{ plugin.DefaultPlugin }

func (*busy) Name() string                     { return "busy" }
func (*busy) ParseConf(in []byte) (any, error) { return string(in), nil }

func (*busy) RequestFilter(_ any, _ http.ResponseWriter, r pkghttp.Request) {
	r.Header().Set("X-Busy", "1")
	r.SetPath([]byte("/busy"))
	r.Args().Set("busy", "1")
	r.RespHeader().Set("X-Busy", "1")
}

// runner is a server whose routes a switch file switches.
type runner struct {
	server   *server.Server
	follower *switches.Follower
	address  *net.UnixAddr
}

func startRunner(t *testing.T, file string) *runner {
	t.Helper()
	r := &runner{follower: switches.Follow(file, zerolog.Nop()), address: &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"}}
	var number atomic.Uint32
	var err error
	r.server, err = server.New(server.Options{
		Plugins: []plugin.Plugin{&busy{}}, OnConfigError: server.ConfigErrorRefuse, Off: r.follower.Off,
		Numbers: func() (uint32, error) { return number.Add(1), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenUnix("unix", r.address)
	if err != nil {
		t.Fatal(err)
	}
	go r.server.Serve(l)
	return r
}

func (r *runner) stop() {
	r.server.Close(context.Background())
	r.follower.Close()
}

// client is the gateway's side of one connection.
type client struct {
	t    *testing.T
	conn net.Conn
}

func (r *runner) dial(t *testing.T) *client {
	t.Helper()
	conn, err := net.DialUnix("unix", nil, r.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return &client{t, conn}
}

// roundTrip sends a frame and returns the answer's payload, which is of the same type.
func (c *client) roundTrip(kind byte, payload []byte) []byte {
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))
	frame[0] = kind
	_, err := c.conn.Write(append(frame, payload...))
	var head [4]byte
	_, err2 := io.ReadFull(c.conn, head[:])
	got := head[0]
	head[0] = 0
	answer := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err3 := io.ReadFull(c.conn, answer)
	if err := errors.Join(err, err2, err3); err != nil || got != kind {
		panic(fmt.Sprintf("a frame of type %d answers one of %d: %v", got, kind, err)) // may be in a goroutine of the test's
	}
	return answer
}

// prepare returns the token of a configuration.
func (c *client) prepare(key, pluginName string) uint32 {
	b := flatbuffers.NewBuilder(256)
	name, value, text := b.CreateString(pluginName), b.CreateString("{}"), b.CreateString(key)
	A6.TextEntryStart(b)
	A6.TextEntryAddName(b, name)
	A6.TextEntryAddValue(b, value)
	entry := A6.TextEntryEnd(b)
	PrepareConf.ReqStartConfVector(b, 1)
	b.PrependUOffsetT(entry)
	vector := b.EndVector(1)
	PrepareConf.ReqStart(b)
	PrepareConf.ReqAddKey(b, text)
	PrepareConf.ReqAddConf(b, vector)
	b.Finish(PrepareConf.ReqEnd(b))
	return PrepareConf.GetRootAsResp(c.roundTrip(1, b.FinishedBytes()), 0).ConfToken()
}

// The outcomes of a call.
const (
	unchanged = "unchanged" // but for the tuple's header, which is removed
	changed   = "changed"
	refused   = "refused"
)

// call says what the runner did to a call.
func (c *client) call(token uint32) string {
	b := flatbuffers.NewBuilder(256)
	path := b.CreateString("/")
	HTTPReqCall.ReqStart(b)
	HTTPReqCall.ReqAddId(b, 1)
	HTTPReqCall.ReqAddConfToken(b, token)
	HTTPReqCall.ReqAddPath(b, path)
	b.Finish(HTTPReqCall.ReqEnd(b))
	resp := HTTPReqCall.GetRootAsResp(c.roundTrip(2, b.FinishedBytes()), 0)
	var table flatbuffers.Table
	if !resp.Action(&table) {
		return changed // nobody has removed the tuple's header
	}
	if resp.ActionType() == HTTPReqCall.ActionStop {
		return refused
	}
	var rewrite HTTPReqCall.Rewrite
	rewrite.Init(table.Bytes, table.Pos)
	var header A6.TextEntry
	onlyTuple := rewrite.HeadersLength() == 1 && rewrite.Headers(&header, 0) &&
		string(header.Name()) == correlator.TupleHeaderName && header.Value() == nil
	if onlyTuple && rewrite.ArgsLength()+rewrite.RespHeadersLength() == 0 && rewrite.Path() == nil && rewrite.BodyLength() == 0 {
		return unchanged
	}
	return changed
}

// until calls until the outcome is the one wanted, and says how long that took.
func (c *client) until(token uint32, want string) time.Duration {
	c.t.Helper()
	start := time.Now()
	for c.call(token) != want {
		if time.Since(start) > 10*within {
			c.t.Fatalf("calls are not %s after %v", want, time.Since(start))
		}
	}
	return time.Since(start)
}

func change(t *testing.T, file, id string, off bool) {
	t.Helper()
	if _, _, err := switches.Change(t.Context(), file, id, off); err != nil {
		t.Fatal(err)
	}
}

// TestServed: a change of the file is in force on calls within a second, on the routes that it names, over restarts.
func TestServed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "switches.yaml")
	first := startRunner(t, file)
	c := first.dial(t)
	token, other := c.prepare("route#orders#ext-plugin-pre-req#1", "busy"), c.prepare("route#pay#ext-plugin-pre-req#1", "busy")
	for _, step := range []struct {
		off  bool
		want string
	}{{true, unchanged}, {false, changed}, {true, unchanged}} {
		change(t, file, "orders", step.off)
		if took := c.until(token, step.want); took > within {
			t.Errorf("off %v: in force after %v, want %v at most", step.off, took, within)
		}
		if got := c.call(other); got != changed {
			t.Errorf("another route is %s", got)
		}
	}
	if err := os.WriteFile(file, []byte("[orders, pa]"), 0o600); err != nil { // written by hand; another id than pay
		t.Fatal(err)
	}
	first.stop()

	second := startRunner(t, file)
	defer second.stop()
	c = second.dial(t)
	token, other = c.prepare("route#orders#ext-plugin-pre-req#1", "busy"), c.prepare("route#pay#ext-plugin-pre-req#1", "busy")
	if got, pay := c.call(token), c.call(other); got != unchanged || pay != changed {
		t.Errorf("after a restart: %s, another route %s", got, pay)
	}
}

// TestServedKeys: whatever a route's configuration is merged with, and whichever version it has.
func TestServedKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "switches.yaml")
	for _, id := range []string{"orders", "1", "global"} {
		change(t, file, id, true)
	}
	r := startRunner(t, file)
	defer r.stop()
	c := r.dial(t)
	for key, want := range map[string]string{
		"route#orders#ext-plugin-pre-req#1": unchanged, "route#orders#ext-plugin-post-req#99": unchanged, "route#1#ext-plugin-pre-req#1": unchanged,
		"route&service#orders&s#ext-plugin-pre-req#1&1": unchanged, "global_rule#7#ext-plugin-pre-req#1": unchanged,
		"route&service&consumer#orders&s&c#ext-plugin-post-req#1&1&1": unchanged,
		"route#order#ext-plugin-pre-req#1":                            changed, "route&service#2&1#ext-plugin-pre-req#1&1": changed,
		"of no known form": changed,
	} {
		if got := c.call(c.prepare(key, "busy")); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	if got := c.call(c.prepare("route#orders#ext-plugin-pre-req#2", "nobody")); got != unchanged {
		t.Errorf("a wrong configuration of a route that is off: %s", got)
	}
	if got := c.call(c.prepare("route#pay#ext-plugin-pre-req#2", "nobody")); got != refused {
		t.Errorf("a wrong configuration of a route that is on: %s", got)
	}
}

// TestServedConcurrently: connections are served while switches change and the file is damaged; every call is answered.
func TestServedConcurrently(t *testing.T) {
	file := filepath.Join(t.TempDir(), "switches.yaml")
	r := startRunner(t, file)
	defer r.stop()
	end := make(chan struct{})
	var calls sync.WaitGroup
	for i := range 4 {
		c := r.dial(t)
		calls.Go(func() {
			flips, last := 0, changed
			token, other := c.prepare("route#a#ext-plugin-pre-req#1", "busy"), c.prepare("route#b#ext-plugin-pre-req#1", "busy")
			for {
				select {
				case <-end:
					if got := c.call(token); got != last { // it may have come to no call since the last change
						flips++
					}
					if flips != 2 {
						t.Errorf("connection %d saw %d changes of 2", i, flips)
					}
					return
				default:
				}
				if got := c.call(token); got != last {
					flips, last = flips+1, got
				}
				if got := c.call(other); got != changed {
					t.Errorf("route b: %s", got)
				}
			}
		})
	}
	c := r.dial(t)
	token := c.prepare("route#a#ext-plugin-pre-req#1", "busy")
	change(t, file, "a", true)
	c.until(token, unchanged)
	if err := os.WriteFile(file, []byte("- a\n- b c"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if got := c.call(token); got != unchanged {
			t.Errorf("a damaged file: route a is %s", got)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	c.until(token, changed)
	close(end)
	calls.Wait()
}
