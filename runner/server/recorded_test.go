package server

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	pkghttp "github.com/apache/apisix-go-plugin-runner/pkg/http"
	"github.com/apache/apisix-go-plugin-runner/pkg/plugin"
)

// recordedPlugins do what the plugins of the recorded runner did, told from what it answered.
func recordedPlugins() []plugin.Plugin {
	return []plugin.Plugin{recorded{name: "probe"}, recorded{name: "vars"}, recorded{name: "stop"}, recorded{name: "resp"}, recorded{name: "stall"}}
}

type recordedConf struct {
	Headers []string // probe: told to the client
	Body    bool     // probe: read
	Vars    []string
	ToReq   bool `json:"to_req"`
	ToResp  bool `json:"to_resp"`
	Code    int
	Text    string `json:"-"`
	Read    bool
	Header  string
	Status  int
	Ms      int
	Panic   bool
}

type recorded struct {
	plugin.DefaultPlugin
	name string
}

func (p recorded) Name() string { return p.name }

func (p recorded) ParseConf(in []byte) (any, error) {
	var c recordedConf
	if p.name == "stop" || p.name == "resp" { // their body is a text
		var text struct{ Body string }
		if err := json.Unmarshal(in, &text); err != nil {
			return nil, err
		}
		c.Text = text.Body
		in = []byte(strings.Replace(string(in), `"body"`, `"text"`, 1))
	}
	err := json.Unmarshal(in, &c)
	return c, err
}

func (p recorded) RequestFilter(conf any, w http.ResponseWriter, r pkghttp.Request) {
	c := conf.(recordedConf)
	switch p.name {
	case "probe":
		probe(c, r)
	case "vars":
		askRecorded(c, r)
	case "stop":
		w.Header().Set("X-Stopped-By", "runner")
		w.WriteHeader(c.Code)
		if c.Text != "" {
			_, _ = w.Write([]byte(c.Text))
		}
	case "stall":
		time.Sleep(time.Duration(c.Ms) * time.Millisecond)
		if c.Panic {
			panic("as recorded")
		}
	}
}

func probe(c recordedConf, r pkghttp.Request) {
	r.Header().Set("X-Runner-Path", string(r.Path()))
	r.Header().Set("X-Runner-Pid", fmt.Sprint(os.Getpid()))
	r.Header().Set("X-Runner-Saw-Ip", r.SrcIP().String())
	r.Header().Set("X-Runner-Req-Id", fmt.Sprint(r.ID()))
	if c.Body {
		body, err := r.Body()
		sum := sha256.Sum256(body)
		r.Header().Set("X-Runner-Body", fmt.Sprintf("len=%d sha=%x err=%v", len(body), sum[:8], err))
	}
	for _, name := range c.Headers {
		r.RespHeader().Set("X-Runner-Hdr-"+name, fmt.Sprintf("%q", r.Header().View().Values(name)))
	}
	r.RespHeader().Set("X-From-Req-Phase", "yes")
	r.RespHeader().Add("X-Multi", "a")
	r.RespHeader().Add("X-Multi", "b")
}

func askRecorded(c recordedConf, r pkghttp.Request) {
	for _, name := range c.Vars {
		value, err := r.Var(name)
		if err != nil {
			return
		}
		field := "X-Var-" + strings.ReplaceAll(name, "_", "-")
		if c.ToReq {
			r.Header().Set(field, string(value))
		}
		if c.ToResp {
			r.RespHeader().Set(field, string(value))
		}
	}
}

func (p recorded) ResponseFilter(conf any, w pkghttp.Response) {
	c := conf.(recordedConf)
	if p.name != "resp" {
		return
	}
	if c.Read {
		body, err := w.ReadBody()
		w.Header().Set("X-Post-Resp-Read", fmt.Sprintf("len=%d err=%v status=%d", len(body), err, w.StatusCode()))
	}
	w.Header().Set("X-Post-Resp", c.Header)
	if c.Status != 0 {
		w.WriteHeader(c.Status)
	}
	if c.Text != "" {
		_, _ = w.Write([]byte(c.Text))
	}
}
