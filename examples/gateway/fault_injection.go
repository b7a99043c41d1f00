package gateway

import (
	"fmt"
	"strconv"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// APISIX runs the plugins of its rewrite phase by priority, the highest first.
const (
	preReqPriority         = 12000 // ext-plugin-pre-req
	faultInjectionPriority = 11000
)

// delayOptions is APISIX's plugin fault-injection: a pause, as a slow plugin makes one. The zero value makes none.
type delayOptions struct {
	duration  time.Duration
	beforePre bool // else between the two ext-plugins
}

// faultInjectionEntry mirrors the part of fault-injection that the stand-in plays.
type faultInjectionEntry struct {
	Delay struct {
		Duration pause `yaml:"duration"`
	} `yaml:"delay"`
	Meta struct {
		Priority *int `yaml:"priority"`
	} `yaml:"_meta"`
}

const maxPause = time.Minute

// pause is a number of seconds.
type pause time.Duration

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (p *pause) UnmarshalYAML(node ast.Node) error {
	switch node.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
	default:
		return &valueError{token: node.GetToken(), why: "want a number of seconds"}
	}
	seconds, err := strconv.ParseFloat(node.GetToken().Value, 64)
	if err != nil || seconds < 0 || seconds > maxPause.Seconds() {
		return &valueError{token: node.GetToken(), why: fmt.Sprintf("want seconds, 0 to %v", maxPause.Seconds())}
	}
	*p = pause(seconds * float64(time.Second))
	return nil
}

func loadDelay(e *faultInjectionEntry) delayOptions {
	if e == nil {
		return delayOptions{}
	}
	priority := faultInjectionPriority
	if e.Meta.Priority != nil {
		priority = *e.Meta.Priority
	}
	return delayOptions{duration: time.Duration(e.Delay.Duration), beforePre: priority > preReqPriority}
}

// delay waits if the route wants it there. As in APISIX, it goes on when the client has gone.
func (c *call) delay(beforePre bool) {
	d := c.route.delay
	if d.duration == 0 || d.beforePre != beforePre {
		return
	}
	select {
	case <-time.After(d.duration):
	case <-c.gateway.calls.Done():
	}
}
