package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// substitute is an image that is made of this machine's programs and has the name of one that a registry has.
type substitute struct {
	image    string
	variable string            // of compose.yaml, which names it: what is built here has not the digest of the shipped one
	what     string            // that it is, for its label and the log
	programs []string          // of this machine, with their libraries
	add      map[string]string // other files: where they go, what is copied
	text     map[string]string // files with a text: path, text
	last     []string          // the rest of the Containerfile
}

// substitutes are the images that are not built by the Dockerfile; golang is the one that builds those.
func substitutes(o *options) []substitute {
	return []substitute{
		{
			image: "docker.io/library/golang:1.26-bookworm", what: "this machine's Go, for the Dockerfile's first stage",
			programs: []string{"bash", "mkdir"},
			add:      map[string]string{"/usr/bin/sh": "/bin/bash"},
			last: []string{
				"ENV PATH=/usr/local/go/bin:/usr/bin GOPATH=/go GOCACHE=/gocache GOPROXY=file:///goproxy GOSUMDB=off GOFLAGS=-buildvcs=false",
			},
		},
		{
			image: "docker.io/apache/apisix:3.18.0-debian", variable: "APISIX_IMAGE", what: "the stand-in gateway of this repository, with APISIX's user, paths and bash",
			programs: []string{"bash", "head", "grep"},
			add:      map[string]string{"/usr/local/apisix/standin": filepath.Join(o.bin, "apisix-standin")},
			text: map[string]string{
				"/etc/passwd":               "apisix:x:636:636::/usr/local/apisix:/bin/bash\n",
				"/docker-entrypoint.sh":     "#!/usr/bin/bash\nset -e\n[ \"$1 $APISIX_STAND_ALONE\" = 'docker-start true' ]\nexec /usr/local/apisix/standin\n",
				"../own/apisix/conf/README": "APISIX writes its nginx.conf here\n", // what is not root's, beside what is
			},
			last: []string{"COPY --chown=636:636 own/ /usr/local/", "USER 636", `ENTRYPOINT ["/docker-entrypoint.sh"]`, `CMD ["docker-start"]`},
		},
		{
			image: "docker.io/library/redis:8.2-bookworm", variable: "REDIS_IMAGE", what: "Debian's redis-server",
			programs: []string{"redis-server", "redis-cli"},
			text:     map[string]string{"/etc/passwd": "redis:x:999:999::/data:/bin/sh\n"},
		},
		{
			image: "docker.io/curlimages/curl:8.16.0", variable: "CLIENT_IMAGE", what: "Debian's curl",
			programs: []string{"curl"},
			last:     []string{`ENTRYPOINT ["/usr/bin/curl"]`},
		},
	}
}

// imageVariables are the variables of compose.yaml by which the substitutes take their places.
func imageVariables(o *options) (env []string) {
	for _, s := range substitutes(o) {
		if s.variable != "" {
			env = append(env, s.variable+"="+s.image)
		}
	}
	return env
}

// build makes the image in a folder.
func (s *substitute) build(ctx context.Context, e *engine, dir string) error {
	root := filepath.Join(dir, "root")
	if err := s.stage(root); err != nil {
		return fmt.Errorf("make the image %s: %w", s.image, err)
	}
	label, err := json.Marshal("substitute: " + s.what)
	if err != nil {
		return err
	}
	text := strings.Join(append([]string{"FROM scratch", "COPY root /", "LABEL org.opencontainers.image.description=" + string(label)}, s.last...), "\n")
	file := filepath.Join(dir, "Containerfile")
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		return err
	}
	_, err = e.podman(ctx, "build", "--quiet", "--network", "none", "--tag", s.image, "--file", file, dir)
	return err
}

// stage puts the image's files under a folder.
func (s *substitute) stage(root string) error {
	for _, name := range []string{"usr/bin", "usr/lib", "usr/lib64", "usr/local", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, name), 0o755); err != nil {
			return err
		}
	}
	for _, name := range []string{"bin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+name, filepath.Join(root, name)); err != nil {
			return err
		}
	}
	for _, program := range s.programs {
		if err := stageProgram(root, program); err != nil {
			return err
		}
	}
	for at, source := range s.add {
		if err := copyFile(filepath.Join(root, at), source); err != nil {
			return err
		}
	}
	for at, text := range s.text {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, at)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(root, at), []byte(text), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// stageProgram copies a program of this machine, and the libraries that ldd names.
func stageProgram(root, name string) error {
	path, err := exec.LookPath(name)
	if err != nil {
		return err
	}
	if err := copyFile(filepath.Join(root, "usr/bin", name), path); err != nil {
		return err
	}
	out, err := exec.Command("ldd", path).Output()
	if err != nil {
		return fmt.Errorf("ldd %s: %w", path, err)
	}
	for _, library := range regexp.MustCompile(`/\S+`).FindAllString(string(out), -1) {
		if err := copyFile(filepath.Join(root, library), library); err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies a program, what a link points to in its place.
func copyFile(to, from string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o755)
}

// buildShipped builds the Dockerfile's images, as `docker compose build` does. The modules and the compiler's cache are this machine's:
// they take the place of the network and of the builder's caches.
func buildShipped(ctx context.Context, e *engine, o *options) error {
	env, err := goEnv(ctx, "GOROOT", "GOMODCACHE", "GOCACHE")
	if err != nil {
		return err
	}
	for _, target := range []struct{ name, image string }{{"fivetuple", "fivetuple:dev"}, {"upstream", "fivetuple-upstream:dev"}} {
		_, err := e.podman(ctx, "build", "--quiet", "--network", "none", "--target", target.name, "--tag", "docker.io/library/"+target.image,
			"--build-arg", "VERSION="+o.version,
			"--volume", env[0]+":/usr/local/go:ro", "--volume", filepath.Join(env[1], "cache/download")+":/goproxy:ro", "--volume", env[2]+":/gocache",
			"--file", filepath.Join(o.repository, "Dockerfile"), o.repository)
		if err != nil {
			return err
		}
	}
	return nil
}

func goEnv(ctx context.Context, names ...string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	lines := strings.Split(string(bytes.TrimSpace(out)), "\n")
	if len(lines) != len(names) {
		return nil, fmt.Errorf("go env: %d values of %d", len(lines), len(names))
	}
	return lines, nil
}
