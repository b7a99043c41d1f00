package compose

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"fivetuple/conf"
)

// TestDockerfile: what compose.yaml and conf/apisix/config.yaml expect of the images.
func TestDockerfile(t *testing.T) {
	stages := instructions(string(read(t, "../../Dockerfile")))
	if len(stages) != 3 {
		t.Fatalf("%d stages", len(stages))
	}
	build, upstream, final := stages[0], stages[1], stages[2]

	goVersion := "1.26"
	if mod := string(read(t, "../../go.mod")); !strings.Contains(mod, "\ngo "+goVersion) {
		t.Errorf("go.mod does not say go %s", goVersion)
	}
	has(t, build, "FROM golang:"+goVersion+"-bookworm AS build")
	const cached = "RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build CGO_ENABLED=0 go build -trimpath -ldflags "
	has(t, build, cached+`"-s -w -X main.version=${VERSION}" -o /out/fivetuple ./runner`)
	has(t, build, cached+`"-s -w" -o /out/upstream ./examples/compose/upstream`)

	has(t, upstream, "FROM scratch AS upstream")
	has(t, final, "FROM scratch AS fivetuple")
	for _, stage := range [][]string{upstream, final} {
		has(t, stage, "USER 65534:65534")
		for _, i := range stage {
			if strings.HasPrefix(i, "RUN") {
				t.Errorf("%s: the image has nothing that could run it", i)
			}
		}
	}
	if ignored := string(read(t, "../../.dockerignore")); !strings.Contains(ignored, "examples\n!examples/compose/upstream\n") {
		t.Error(".dockerignore: the upstream's source is not sent to the builder")
	}
	var entry []string
	if err := json.Unmarshal([]byte(argument(final, "ENTRYPOINT ")), &entry); err != nil || len(entry) != 1 {
		t.Fatalf("ENTRYPOINT %v, %v: want one word, as a list", entry, err)
	}
	has(t, final, "COPY --from=build /out/fivetuple "+entry[0])
	if cmd := `cmd: ["` + entry[0] + `", "run", "--take-over"]`; !strings.Contains(string(conf.APISIXConfig()), cmd) {
		t.Errorf("conf/apisix/config.yaml does not show %s", cmd)
	}
}

// instructions returns a Dockerfile's instructions by stage, without comments.
func instructions(text string) [][]string {
	var stages [][]string
	text = regexp.MustCompile(`\\\n\s*`).ReplaceAllString(text, "") // a line that goes on
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "FROM ") {
			stages = append(stages, nil)
		}
		stages[len(stages)-1] = append(stages[len(stages)-1], line)
	}
	return stages
}

func argument(stage []string, name string) string {
	for _, i := range stage {
		if after, ok := strings.CutPrefix(i, name); ok {
			return after
		}
	}
	return ""
}

func has(t *testing.T, stage []string, instruction string) {
	t.Helper()
	if !slices.Contains(stage, instruction) {
		t.Errorf("Dockerfile: no %s", instruction)
	}
}
