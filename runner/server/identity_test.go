package server

import (
	"errors"
	"strings"
	"testing"

	"fivetuple/correlator"
)

func TestRouteOfAKey(t *testing.T) {
	for key, want := range map[string]correlator.Route{
		"route#wnoop#ext-plugin-pre-req#1795377683":                         {Route: "wnoop"},
		"route#both#ext-plugin-post-resp#1795377683":                        {Route: "both"},
		"route#1#ext-plugin-post-req#7":                                     {Route: "1"},
		"route&service#r1&s1#ext-plugin-pre-req#1&2":                        {Route: "r1", Service: "s1"},
		"route&service&consumer#r1&s1&jack#ext-plugin-post-req#1&2&3":       {Route: "r1", Service: "s1", Consumer: "jack"},
		"route&consumer#r1&jack#ext-plugin-post-req#1&3":                    {Route: "r1", Consumer: "jack"},
		"route&consumer&consumer_group#r&c&g#ext-plugin-post-req#1&2&3":     {Route: "r", Consumer: "c"},
		"route#r1#ext-plugin-pre-req#1#2":                                   {Route: "r1"}, // the version has a plugin_config's behind it
		"route&service#r1&s1#ext-plugin-pre-req#1#2&3":                      {Route: "r1", Service: "s1"},
		"route&service&consumer&plugin_config#r&s&c&p#ext-plugin-pre-req#1": {Route: "r", Service: "s", Consumer: "c"},
		"plugin_config#5#ext-plugin-pre-req#1":                              {},
		"global_rule#1#ext-plugin-pre-req#1":                                {Global: true},
		"global_rule#1#ext-plugin-post-resp#1795377683":                     {Global: true},
		"route##ext-plugin-pre-req#1":                                       {},
		"route#a#ext-plugin-b#ext-plugin-pre-req#1":                         {Route: "a#ext-plugin-b"},
		"route#" + strings.Repeat("r", 10000) + "#ext-plugin-pre-req#1":     {Route: strings.Repeat("r", 10000)},
	} {
		got, phase, err := parseKey(key)
		if err != nil || got != want {
			t.Errorf("%.80s: %+v, %v; want %+v", key, got, err, want)
		}
		if !strings.HasPrefix(phase, "ext-plugin-p") || !strings.Contains(key, "#"+phase+"#") {
			t.Errorf("%.80s: the phase is %q", key, phase)
		}
	}
}

func TestVersionsAreNoPartOfARoute(t *testing.T) {
	first, _, _ := parseKey("route&service#r&s#ext-plugin-pre-req#1&2")
	for _, version := range []string{"3&4", "1795377683", "", "a#b#c", "1#2&3"} {
		got, phase, err := parseKey("route&service#r&s#ext-plugin-pre-req#" + version)
		if err != nil || got != first || phase != "ext-plugin-pre-req" {
			t.Errorf("version %s: %+v, %q, %v", version, got, phase, err)
		}
	}
}

func TestRouteIsNamed(t *testing.T) {
	for key, want := range map[string]string{"route#r7#ext-plugin-pre-req#1": "r7", "global_rule#1#ext-plugin-pre-req#1": "global"} {
		if got, _, _ := parseKey(key); got.String() != want {
			t.Errorf("%s is %s", key, got)
		}
	}
}

func TestUnknownKeys(t *testing.T) {
	for _, key := range []string{
		"", "#", "route", "route#r", "route#r#1", "route#r#pre-req#1", "route&service#r#ext-plugin-pre-req#1", "route#r&s#ext-plugin-pre-req#1",
		"#ext-plugin-pre-req#1", "ext-plugin-pre-req#1",
	} {
		got, phase, err := parseKey(key)
		if !errors.Is(err, errKey) || got != (correlator.Route{}) || phase != "" {
			t.Errorf("%q: %+v, %q, %v", key, got, phase, err)
		}
	}
}

// TestRecordedKeysAreRoutes: each is a route of the recorded gateway.
func TestRecordedKeysAreRoutes(t *testing.T) {
	n := 0
	for _, name := range recordings(t) {
		for _, e := range readRecording(t, name) {
			if e.Dir != "a2r" || kind(e.Type) != kindPrepareConf || e.payload == nil {
				continue
			}
			n++
			p, _ := decodePrepareConf(e.payload)
			got, _, err := parseKey(string(p.key))
			if want := strings.Split(string(p.key), "#")[1]; err != nil || got != (correlator.Route{Route: want}) {
				t.Errorf("%s: %+v, %v", p.key, got, err)
			}
		}
	}
	if n < 20 {
		t.Errorf("%d keys are recorded", n)
	}
}

// TestUnknownKeyStillServes: plugins work, calls have no route, and it is counted.
func TestUnknownKeyStillServes(t *testing.T) {
	s := startServer(t, nil)
	g := dial(t, s.path)
	r := g.call(call{token: g.prepare("who knows", "script", `[{"Do":"set","K":"X-A","V":"1"},{"Do":"route"}]`)})
	if len(values(r.Headers, "X-A")) != 1 || values(r.Headers, "X-Route")[0] != ",,,false" {
		t.Errorf("%+v", r)
	}
	if s.Stats().UnknownKeys.Load() != 1 || !strings.Contains(s.log.String(), "who knows") {
		t.Errorf("counted %d, logged %s", s.Stats().UnknownKeys.Load(), s.log)
	}
}

func FuzzKey(f *testing.F) {
	f.Add("route&service&consumer#r1&s1&jack#ext-plugin-post-req#1&2&3")
	f.Add("global_rule#1#ext-plugin-pre-req#1")
	f.Fuzz(func(t *testing.T, key string) {
		got, _, err := parseKey(key)
		if err != nil && got != (correlator.Route{}) {
			t.Fatalf("%q: %+v and %v", key, got, err)
		}
		if err == nil && !strings.Contains(key, got.Route+"&") && !strings.Contains(key, got.Route+"#") {
			t.Fatalf("%q: %+v is not in it", key, got)
		}
	})
}
