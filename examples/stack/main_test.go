package stack_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fivetuple/examples/lab"
	"fivetuple/examples/stack"
)

// binary is the fivetuple program that the tests run.
var binary string

// TestMain builds the program once, unless FIVETUPLE_BINARY names one: a guest of make kernels has no compiler.
func TestMain(m *testing.M) {
	if binary = os.Getenv("FIVETUPLE_BINARY"); binary != "" {
		os.Exit(m.Run())
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "fivetuple-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		// The runner is started as nobody, who must be able to reach it.
		if err := os.Chmod(dir, 0o755); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		binary = filepath.Join(dir, "fivetuple")
		build := exec.Command("go", "build", "-o", binary, "fivetuple/runner")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// start returns a running stack, and a context that ends with the test.
func start(t testing.TB, o stack.Options) (context.Context, *stack.Stack) {
	t.Helper()
	if missing := lab.Missing(); len(missing) > 0 {
		skip(t, strings.Join(missing, "; "))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	o.Binary = binary
	s, err := stack.New(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return ctx, s
}

// skip skips a test, where that is allowed.
func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("FIVETUPLE_NO_SKIP") == "1" {
		t.Fatal("a skip is a failure here: ", why)
	}
	t.Skip(why)
}

func dial(ctx context.Context, t testing.TB, s *stack.Stack, address string) *stack.Client {
	t.Helper()
	c, err := s.Dial(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// do makes a call and returns what the upstream was told of it.
func do(t *testing.T, c *stack.Client, request []byte) (stack.Insight, stack.Answer) {
	t.Helper()
	a, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return insight(t, a), a
}

func insight(t *testing.T, a stack.Answer) stack.Insight {
	t.Helper()
	in, err := stack.ReadInsight(a.Echo.Header)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func wantMatch(t *testing.T, in stack.Insight, want string) {
	t.Helper()
	if in.MatchRaw != want {
		t.Errorf("x-packet-match: %s, want %s", in.MatchRaw, want)
	}
}
