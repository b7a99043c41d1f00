package server

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	apierr "github.com/api7/ext-plugin-proto/go/A6/Err"
)

// wantLibraryFails says which checks v0.5.0's server fails: the defects that ours exists for. One that it passes is here
// to show that the check itself is fair.
var wantLibraryFails = map[string]bool{
	"TestSmallBody":                    false,
	"TestBigBody":                      true,
	"TestBigHeaders":                   true,
	"TestSlowFrame":                    true,
	"TestTokenOfTheProcessBefore":      true,
	"TestPanicIsAnswered":              true,
	"TestCallInFlightAtSIGTERM":        true,
	"TestAnswerLongerThanAFrame":       true,
	"TestUnparsableConfIsMarked":       true,
	"TestUnknownPluginIsMarked":        true,
	"TestAllValuesAreSent":             true,
	"TestFirstOfManyValuesIsSet":       true,
	"TestDeletedWithoutHavingCome":     true,
	"TestReadingAHeaderChangesNothing": true,
	"TestReadingArgsChangesNothing":    true,
	"TestResponseHeaderEndsNoChain":    true,
	"TestChangedConfUnderTheSameKey":   true,
	"TestWrongTypeEndsTheConnection":   true,
	"TestStopEndsTheChain":             false,
	"TestUnsetVariable":                false,
	"TestTokenThatWasNeverGivenOut":    false,
	"TestConnectionsAreIndependent":    false,
}

// mirrored runs a check against ours, which must pass it, and against the library's, which must do as the table says.
func mirrored(t *testing.T, check func(c *child) error) {
	t.Helper()
	t.Parallel()
	fails, known := wantLibraryFails[t.Name()]
	if !known {
		t.Fatal("the table says nothing of it")
	}
	dir := socketDir(t)
	for _, mode := range []string{childOurs, childLibrary} {
		err := check(startChild(t, mode, filepath.Join(dir, mode)))
		if wantErr := fails && mode == childLibrary; wantErr != (err != nil) {
			t.Errorf("%s: %v; want an error: %t", mode, err, wantErr)
		} else {
			t.Logf("%s: %v", mode, err)
		}
	}
}

// dial returns a gateway that gives up soon: a server that fails may leave it waiting.
func (c *child) dial(t *testing.T) *gateway {
	t.Helper()
	g := dial(t, c.path)
	_ = g.conn.SetDeadline(time.Now().Add(3 * time.Second))
	return g
}

// tryRoute prepares a route of plugin names and configurations, and calls it.
func (g *gateway) tryRoute(c call, conf ...string) (reply, error) {
	r, err := g.try(kindPrepareConf, encodePrepare("route#r#ext-plugin-pre-req#1", conf...))
	if err != nil {
		return r, err
	}
	c.token = r.Token
	return g.try(kindHTTPReqCall, c.encode())
}

func (g *gateway) tryRespond(c respCall, conf ...string) (reply, error) {
	r, err := g.try(kindPrepareConf, encodePrepare("route#r#ext-plugin-post-resp#1", conf...))
	if err != nil {
		return r, err
	}
	c.token = r.Token
	return g.try(kindHTTPRespCall, c.encode())
}

func checkBody(t *testing.T, n int) func(*child) error {
	t.Helper()
	return func(c *child) error {
		g := c.dial(t)
		g.body = []byte(strings.Repeat("b", n))
		r, err := g.tryRoute(call{id: 1}, "script", `[{"Do":"body"}]`)
		if err != nil {
			return err
		}
		return oneValue(r, "X-Body", fmt.Sprintf("%d,%x,<nil>", n, checksum(g.body)))
	}
}

func oneValue(r reply, name string, want ...string) error {
	if got := values(r.Headers, name); !slices.Equal(got, want) {
		return fmt.Errorf("%s is %q, want %q: %.300v", name, got, want, fmt.Sprintf("%+v", r))
	}
	return nil
}

func TestSmallBody(t *testing.T) { mirrored(t, checkBody(t, 2000)) }
func TestBigBody(t *testing.T)   { mirrored(t, often(checkBody(t, 400<<10))) }

// often repeats a check: now and then a read that takes what is there gets all of a big frame.
func often(check func(*child) error) func(*child) error {
	return func(c *child) error {
		for range 20 {
			if err := check(c); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestBigHeaders(t *testing.T) {
	mirrored(t, often(func(c *child) error {
		headers := make([][2]string, 80)
		for i := range headers {
			headers[i] = [2]string{fmt.Sprintf("x-%d", i), strings.Repeat("h", 4000)}
		}
		r, err := c.dial(t).tryRoute(call{id: 1, headers: headers}, "script", `[{"Do":"view-count","K":"X-N"}]`)
		if err != nil {
			return err
		}
		return oneValue(r, "X-N", "80")
	}))
}

// TestSlowFrame: a frame that comes in parts is one frame.
func TestSlowFrame(t *testing.T) {
	mirrored(t, func(c *child) error {
		g := c.dial(t)
		all := frame(kindPrepareConf, encodePrepare("route#r#ext-plugin-pre-req#1", "noop", ""))
		for _, part := range [][]byte{all[:2], all[2:30], all[30:]} {
			if _, err := g.conn.Write(part); err != nil {
				return err
			}
			time.Sleep(20 * time.Millisecond) // the reader must have read the part: no event tells
		}
		r, err := g.await()
		if err == nil && r.Kind != kindPrepareConf {
			err = fmt.Errorf("%+v", r)
		}
		return err
	})
}

// TestTokenOfTheProcessBefore: a route that must answer 403 never runs as another.
func TestTokenOfTheProcessBefore(t *testing.T) {
	mirrored(t, func(c *child) error {
		old, err := c.dial(t).try(kindPrepareConf, encodePrepare("route#stop#ext-plugin-pre-req#1", "stop", `{"code":403}`))
		if err != nil {
			return err
		}
		c.kill()
		startChild(t, c.mode, c.path)
		g := c.dial(t)
		if _, err := g.try(kindPrepareConf, encodePrepare("route#other#ext-plugin-pre-req#1", "noop", "")); err != nil {
			return err
		}
		r, err := g.try(kindHTTPReqCall, call{id: 1, token: old.Token}.encode())
		if err == nil && r.Status != 403 && r.Code != apierr.CodeCONF_TOKEN_NOT_FOUND {
			err = fmt.Errorf("ran as another route: %+v", r)
		}
		return err
	})
}

func TestPanicIsAnswered(t *testing.T) {
	mirrored(t, func(c *child) error {
		g := c.dial(t)
		r, err := g.tryRoute(call{id: 1}, "script", `[{"Do":"panic","V":"on purpose"}]`)
		if err != nil {
			return err
		}
		if r.Kind != kindError || r.Code != apierr.CodeSERVICE_UNAVAILABLE {
			return fmt.Errorf("%+v", r)
		}
		_, err = g.tryRoute(call{id: 2}, "noop", "") // the connection lives
		return err
	})
}

func TestCallInFlightAtSIGTERM(t *testing.T) {
	mirrored(t, func(c *child) error {
		g, idle := c.dial(t), c.dial(t)
		if _, err := idle.tryRoute(call{}, "noop", ""); err != nil {
			return err
		}
		r, err := g.try(kindPrepareConf, encodePrepare("route#r#ext-plugin-pre-req#1", "script", `[{"Do":"var","K":"a"}]`))
		if err != nil {
			return err
		}
		if err := g.send(kindHTTPReqCall, call{id: 7, token: r.Token}.encode()); err != nil {
			return err
		}
		_, question, err := g.receive() // the call is under way
		if err != nil {
			return err
		}
		if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		if k, _, err := idle.receive(); err == nil { // its end tells that the signal has come
			return fmt.Errorf("%v on an idle connection", k)
		}
		if err := g.send(kindExtraInfo, g.answer(question)); err != nil {
			return err
		}
		r, err = g.await()
		if err == nil && r.ID != 7 {
			err = fmt.Errorf("%+v", r)
		}
		return err
	})
}

// TestAnswerLongerThanAFrame: it fails alone, and the stream stays in step.
func TestAnswerLongerThanAFrame(t *testing.T) {
	mirrored(t, func(c *child) error {
		g := c.dial(t)
		r, err := g.tryRoute(call{id: 1}, "script", `[{"Do":"write-n","V":"17000000"}]`)
		if err != nil {
			return err
		}
		if r.Kind != kindError || r.Code != apierr.CodeSERVICE_UNAVAILABLE {
			return fmt.Errorf("%v, %d bytes of body", r.Kind, len(r.Body))
		}
		r, err = g.tryRoute(call{id: 2}, "noop", "")
		if err == nil && r.ID != 2 {
			err = fmt.Errorf("out of step: %+v", r)
		}
		return err
	})
}

func checkMarked(t *testing.T, conf ...string) func(*child) error {
	t.Helper()
	return func(c *child) error {
		r, err := c.dial(t).tryRoute(call{id: 1}, conf...)
		if err != nil {
			return err
		}
		return oneValue(r, "X-Packet-Match", "none;reason=config")
	}
}

func TestUnparsableConfIsMarked(t *testing.T) { mirrored(t, checkMarked(t, "script", "{")) }
func TestUnknownPluginIsMarked(t *testing.T)  { mirrored(t, checkMarked(t, "scirpt", "[]")) }

func TestAllValuesAreSent(t *testing.T) {
	mirrored(t, func(c *child) error {
		r, err := c.dial(t).tryRoute(call{id: 1, headers: [][2]string{{"x-m", "1"}}}, "script",
			`[{"Do":"view-add","K":"X-M","V":"2"},{"Do":"view-add","K":"X-N","V":"a"},{"Do":"view-add","K":"X-N","V":"b"}]`)
		if err != nil {
			return err
		}
		if err := oneValue(r, "X-M", "1", "2"); err != nil {
			return err
		}
		return oneValue(r, "X-N", "a", "b")
	})
}

func TestFirstOfManyValuesIsSet(t *testing.T) {
	mirrored(t, func(c *child) error {
		r, err := c.dial(t).tryRoute(call{id: 1, headers: [][2]string{{"x-m", "1"}, {"x-m", "2"}}}, "script", `[{"Do":"set","K":"X-M","V":"1"}]`)
		if err != nil {
			return err
		}
		return oneValue(r, "X-M", "1")
	})
}

// TestDeletedWithoutHavingCome: the gateway sends only the first 100 fields.
func TestDeletedWithoutHavingCome(t *testing.T) {
	mirrored(t, func(c *child) error {
		r, err := c.dial(t).tryRoute(call{id: 1}, "script", `[{"Do":"del","K":"x-packet-size"}]`)
		if err == nil && !isDeleted(r.Headers, "X-Packet-Size") {
			err = fmt.Errorf("%+v", r)
		}
		return err
	})
}

func checkUntouched(t *testing.T, ops string) func(*child) error {
	t.Helper()
	return func(c *child) error {
		r, err := c.dial(t).tryRoute(call{id: 9, headers: [][2]string{{"x-m", "1"}, {"x-m", "2"}}, args: [][2]string{{"a", "1"}}}, "script", ops)
		if err == nil && (r.Action != "" || r.ID != 9) {
			err = fmt.Errorf("%+v", r)
		}
		return err
	}
}

func TestReadingAHeaderChangesNothing(t *testing.T) {
	mirrored(t, checkUntouched(t, `[{"Do":"peek","K":"X-M"},{"Do":"view"},{"Do":"resp"}]`))
}

func TestReadingArgsChangesNothing(t *testing.T) {
	mirrored(t, checkUntouched(t, `[{"Do":"args"}]`))
}

func TestResponseHeaderEndsNoChain(t *testing.T) {
	mirrored(t, func(c *child) error {
		r, err := c.dial(t).tryRespond(respCall{id: 1, status: 200}, "script", `[{"Do":"rpeek","K":"X"}]`, "script2", `[{"Do":"rset","K":"X-2","V":"2"}]`)
		if err != nil {
			return err
		}
		return oneValue(r, "X-2", "2")
	})
}

func TestChangedConfUnderTheSameKey(t *testing.T) {
	mirrored(t, func(c *child) error {
		g := c.dial(t)
		var r reply
		for _, body := range []string{"old", "new"} {
			var err error
			if r, err = g.tryRoute(call{id: 1}, "say", `{"body":"`+body+`"}`); err != nil {
				return err
			}
		}
		if r.Body != "new" {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
}

// TestWrongTypeEndsTheConnection: what follows a frame that makes no sense cannot be trusted either.
func TestWrongTypeEndsTheConnection(t *testing.T) {
	mirrored(t, func(c *child) error {
		g := c.dial(t)
		r, err := g.try(kind(77), []byte("12345678"))
		if err != nil {
			return err
		}
		if r.Kind != kindError || r.Code != apierr.CodeBAD_REQUEST {
			return fmt.Errorf("%+v", r)
		}
		if _, err := g.tryRoute(call{}, "noop", ""); err == nil {
			return fmt.Errorf("the connection lives")
		}
		return nil
	})
}

func TestStopEndsTheChain(t *testing.T) {
	mirrored(t, func(c *child) error {
		r, err := c.dial(t).tryRoute(call{id: 3}, "script", `[{"Do":"header","K":"X-S","V":"1"},{"Do":"status","V":"418"},{"Do":"write","V":"tea"}]`,
			"script2", `[{"Do":"write","V":"more"}]`)
		if err == nil && (r.Action != "stop" || r.Status != 418 || r.Body != "tea" || len(values(r.Headers, "X-S")) != 1) {
			err = fmt.Errorf("%+v", r)
		}
		return err
	})
}

func TestUnsetVariable(t *testing.T) {
	mirrored(t, func(c *child) error {
		r, err := c.dial(t).tryRoute(call{id: 1}, "script", `[{"Do":"var","K":"unset"}]`)
		if err != nil {
			return err
		}
		return oneValue(r, "X-Var-unset", `"",true,<nil>`)
	})
}

func TestTokenThatWasNeverGivenOut(t *testing.T) {
	mirrored(t, func(c *child) error {
		g := c.dial(t)
		r, err := g.try(kindHTTPReqCall, call{token: 0xffffff00}.encode())
		if err == nil && r.Code != apierr.CodeCONF_TOKEN_NOT_FOUND {
			err = fmt.Errorf("%+v", r)
		}
		if err != nil {
			return err
		}
		_, err = g.tryRoute(call{}, "noop", "") // the connection lives
		return err
	})
}

// TestConnectionsAreIndependent: one that waits for an answer holds up no other.
func TestConnectionsAreIndependent(t *testing.T) {
	mirrored(t, func(c *child) error {
		slow := c.dial(t)
		r, err := slow.try(kindPrepareConf, encodePrepare("route#r#ext-plugin-pre-req#1", "script", `[{"Do":"var","K":"a"}]`))
		if err != nil {
			return err
		}
		if err := slow.send(kindHTTPReqCall, call{token: r.Token}.encode()); err != nil {
			return err
		}
		_, err = c.dial(t).tryRoute(call{}, "noop", "")
		return err
	})
}
