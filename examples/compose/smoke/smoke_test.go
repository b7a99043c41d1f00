package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"

	"fivetuple/examples/stack"
)

// TestPodmansFile: what is added for podman changes the place of the profile of seccomp, for each runner, and nothing else.
func TestPodmansFile(t *testing.T) {
	load := func(files ...string) *types.Project {
		t.Helper()
		details := types.ConfigDetails{WorkingDir: "..", Environment: types.Mapping{"SMOKE_PROFILE": "./seccomp.json"}}
		for _, file := range files {
			details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: file})
		}
		p, err := loader.LoadWithContext(context.Background(), details, loader.WithProfiles([]string{"*"}))
		if err != nil {
			t.Fatal(err)
		}
		p.ComposeFiles = nil
		return p
	}
	shipped, ours := load("../compose.yaml"), load("../compose.yaml", "podman.yaml")
	if d := cmp.Diff(shipped.Services, ours.Services); d != "" {
		t.Errorf("services (-shipped +run):\n%s", d)
	}
}

// TestSubstitutes: every image that compose.yaml takes from a registry has one, by its name.
func TestSubstitutes(t *testing.T) {
	text, err := os.ReadFile("../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dockerfile, err := os.ReadFile("../../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range substitutes(&options{}) {
		name := strings.TrimPrefix(strings.TrimPrefix(s.image, "docker.io/"), "library/")
		if !strings.Contains(string(text), "${"+s.variable+":-"+name+"@") && !strings.Contains(string(dockerfile), "FROM "+name+" ") {
			t.Errorf("no file has the image %s", name)
		}
	}
}

func TestDifference(t *testing.T) {
	before := census{"process a": 1, "mount b": 2, "volume c": 1}
	now := census{"process a": 3, "mount b": 2, "pin d": 1}
	want := []string{"+1 pin d", "+2 process a", "-1 volume c"}
	if d := cmp.Diff(want, now.difference(before)); d != "" {
		t.Errorf("difference (-want +got):\n%s", d)
	}
	if got := now.difference(now); len(got) > 0 {
		t.Errorf("one differs from itself: %v", got)
	}
}

// TestSince: the stack has healed when calls were enriched for a second, and it took until the last that was not.
func TestSince(t *testing.T) {
	start := time.Now()
	failed, bare := errors.New("refused"), errBare
	at := func(d time.Duration, err error) sample { return sample{start.Add(d), err} }
	for name, c := range map[string]struct {
		samples []sample
		want    seen
	}{
		"nothing yet": {nil, seen{}},
		"not touched": {[]sample{at(-1, failed), at(0, nil), at(steady, nil)}, seen{calls: 2, steady: true}},
		"too early":   {[]sample{at(0, nil), at(steady/2, nil)}, seen{calls: 2}},
		"healed": {
			[]sample{at(1, failed), at(2, bare), at(3, nil), at(3+steady, nil)},
			seen{calls: 4, failed: 1, bare: 1, healed: 2, steady: true, last: bare},
		},
		// A call that hangs leaves a gap in which nothing is known.
		"a gap": {[]sample{at(1, failed), at(5*steady, nil)}, seen{calls: 2, failed: 1, healed: 1, last: failed}},
	} {
		p := &prober{samples: c.samples}
		if got := p.since(start); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestReadAnswer(t *testing.T) {
	const head = "GET / HTTP/1.1\r\nHost: x\r\n"
	for text, want := range map[string]error{
		head + "X-Packet-Match: exchange;n=1\r\n\r\n":                              nil,
		head + "X-Packet-Match: none;reason=pins\r\n\r\n":                          errBare,
		head + "X-Packet-Match: exchange;n=1\r\nX-Packet-Tuple: 192.0.2.1\r\n\r\n": errBare,
		head + "\r\n": stack.ErrInsight,
	} {
		if _, err := readAnswer([]byte(text)); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

// TestDockersDefault: bpf(2) is for containers with CAP_BPF, and for no other.
func TestDockersDefault(t *testing.T) {
	profile, err := dockersDefault()
	if errors.Is(err, os.ErrNotExist) && os.Getenv("FIVETUPLE_NO_SKIP") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(profile, `"bpf"`); n != 1 || !slices.Contains(strings.Split(profile, `"`), "CAP_BPF") {
		t.Errorf("%d rules for bpf", n)
	}
}
