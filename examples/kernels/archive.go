package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// series is one of Debian's kernels that is tried.
type series struct {
	// suite is the release of Debian that has it.
	suite string
	// arch is Debian's name of the architecture, which Go has, too.
	arch string
}

// meta returns the package that depends on the newest version.
func (s series) meta() string { return "linux-image-cloud-" + s.arch }

// triedSeries returns the kernels that people have: of the two last stable releases, and the newest in the archive. The
// cloud flavour has the same network code as the others, and a third of the bytes.
func triedSeries() []series {
	return []series{{"bookworm", "amd64"}, {"trixie", "amd64"}, {"sid", "amd64"}, {"bookworm", "arm64"}}
}

// archive is apt with lists and sources of its own, so that the host's configuration stays as it is. Apt checks the
// archive's signatures.
type archive struct {
	folder string
	series series
}

// fetchKernels returns the kernels that the options choose, downloaded and unpacked.
func fetchKernels(ctx context.Context, o options, out io.Writer) ([]kernel, error) {
	var kernels []kernel
	for _, s := range triedSeries() {
		a := archive{folder: filepath.Join(o.cache, s.suite+"-"+s.arch), series: s}
		packages, err := a.packages(ctx)
		if err != nil {
			return nil, fmt.Errorf("find the kernel of %s for %s: %w", s.suite, s.arch, err)
		}
		if !o.only.MatchString(packages.release()) {
			continue
		}
		k, err := a.fetch(ctx, packages)
		if err != nil {
			return nil, fmt.Errorf("fetch the kernel of %s for %s: %w", s.suite, s.arch, err)
		}
		k.arch = s.arch
		fmt.Fprintf(out, "kernels: %s from %s\n", k.release, s.suite)
		kernels = append(kernels, k)
	}
	if len(kernels) == 0 {
		return nil, fmt.Errorf("no kernel matches -only %s", o.only)
	}
	return kernels, nil
}

// kernelPackages are the names of the packages of one kernel.
type kernelPackages []string

// release returns what uname -r prints.
func (p kernelPackages) release() string {
	for _, name := range p {
		if release, ok := strings.CutPrefix(name, "linux-image-"); ok {
			return release
		}
	}
	return ""
}

// packages returns those of the newest version: the image, and from Linux 7 on binary and modules apart.
func (a archive) packages(ctx context.Context) (kernelPackages, error) {
	meta := a.series.meta()
	if err := a.update(ctx); err != nil {
		return nil, err
	}
	list, err := a.apt(ctx, "apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts",
		"--no-breaks", "--no-replaces", "--no-enhances", "--no-pre-depends", meta)
	if err != nil {
		return nil, err
	}
	var found kernelPackages
	for line := range strings.Lines(string(list)) {
		name := strings.TrimSpace(line)
		if strings.ContainsAny(name, " <|") || !strings.HasSuffix(name, "cloud-"+a.series.arch) || name == meta {
			continue
		}
		for _, kind := range []string{"linux-image-", "linux-binary-", "linux-modules-"} {
			if strings.HasPrefix(name, kind) && !slices.Contains(found, name) {
				found = append(found, name)
			}
		}
	}
	if found.release() == "" {
		return nil, fmt.Errorf("%s depends on no linux-image", meta)
	}
	return found, nil
}

// fetch downloads what is not in the cache yet, and unpacks it.
func (a archive) fetch(ctx context.Context, packages kernelPackages) (kernel, error) {
	root := filepath.Join(a.folder, packages.release())
	if _, err := os.Stat(root); err == nil {
		return readKernel(root, packages.release())
	}
	unpacked, err := os.MkdirTemp(a.folder, "unpack-")
	if err != nil {
		return kernel{}, err
	}
	defer os.RemoveAll(unpacked)
	for _, name := range packages {
		if err := a.unpack(ctx, name, unpacked); err != nil {
			return kernel{}, err
		}
	}
	if err := os.Rename(unpacked, root); err != nil {
		return kernel{}, err
	}
	return readKernel(root, packages.release())
}

func (a archive) unpack(ctx context.Context, name, to string) error {
	packages, err := os.MkdirTemp(a.folder, "download-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(packages)
	if _, err := a.aptIn(ctx, packages, "apt-get", "download", name); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(packages, "*.deb"))
	if err != nil || len(files) != 1 {
		return fmt.Errorf("apt-get download %s brought %d packages", name, len(files))
	}
	out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", files[0], to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("unpack %s: %w: %s", files[0], err, out)
	}
	return nil
}

// update writes the sources, which are the host's own mirrors with the suite's name, and reads the archive's lists.
func (a archive) update(ctx context.Context) error {
	for _, sub := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(a.folder, sub), 0o755); err != nil {
			return err
		}
	}
	mirrors, err := hostMirrors(ctx)
	if err != nil {
		return err
	}
	var sources strings.Builder
	for _, m := range mirrors {
		suite := a.series.suite
		if strings.Contains(m, "security") {
			if suite == "sid" {
				continue // it has no security archive
			}
			suite += "-security"
		}
		fmt.Fprintf(&sources, "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n", m, suite)
	}
	if err := os.WriteFile(filepath.Join(a.folder, "sources.list"), []byte(sources.String()), 0o644); err != nil {
		return err
	}
	_, err = a.apt(ctx, "apt-get", "update", "-qq")
	return err
}

// hostMirrors returns the addresses of the Debian archives that this host's own configuration names.
func hostMirrors(ctx context.Context) ([]string, error) {
	out, err := command(exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages"))
	if err != nil {
		return nil, err
	}
	var mirrors []string
	for line := range strings.Lines(string(out)) {
		m, ok := strings.CutPrefix(strings.TrimSpace(line), "Debian ")
		if ok && !slices.Contains(mirrors, m) {
			mirrors = append(mirrors, m)
		}
	}
	if len(mirrors) == 0 {
		return nil, errors.New("apt-get indextargets names no Debian archive: this requires a Debian host")
	}
	return mirrors, nil
}

func (a archive) apt(ctx context.Context, name string, args ...string) ([]byte, error) {
	return a.aptIn(ctx, a.folder, name, args...)
}

func (a archive) aptIn(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	own := []string{
		"-o", "Dir::Etc::sourcelist=" + filepath.Join(a.folder, "sources.list"), "-o", "Dir::Etc::sourceparts=-",
		"-o", "Dir::State::lists=" + filepath.Join(a.folder, "lists"), "-o", "Dir::Cache=" + filepath.Join(a.folder, "cache"),
		"-o", "Dir::State::status=/dev/null", "-o", "APT::Sandbox::User=root",
		"-o", "APT::Architecture=" + a.series.arch, "-o", "APT::Architectures=" + a.series.arch,
	}
	c := exec.CommandContext(ctx, name, append(own, args...)...)
	c.Dir = dir
	return command(c)
}

// command returns a program's output, or an error with what it wrote to standard error.
func command(c *exec.Cmd) ([]byte, error) {
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(c.Args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}
