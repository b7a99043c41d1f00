package server

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierr "github.com/api7/ext-plugin-proto/go/A6/Err"
)

// fakeClock is a clock that tests advance.
type fakeClock struct{ nanos atomic.Int64 }

func newFakeClock() *fakeClock {
	c := new(fakeClock)
	c.nanos.Store(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *fakeClock) now() time.Time          { return time.Unix(0, c.nanos.Load()) }
func (c *fakeClock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

// tokenServer serves over one connection, with a clock.
func tokenServer(t *testing.T) (*testServer, *gateway, *fakeClock) {
	t.Helper()
	clock := newFakeClock()
	s := startServer(t, func(o *Options) { o.Now = clock.now })
	return s, dial(t, s.path), clock
}

func holds(g *gateway, token uint32) bool {
	g.t.Helper()
	r := g.call(call{token: token})
	if r.Kind == kindError && r.Code != apierr.CodeCONF_TOKEN_NOT_FOUND {
		g.t.Fatalf("%+v", r)
	}
	return r.Kind != kindError
}

const routeKey = "route#r#ext-plugin-pre-req#1"

func TestSameConfSameToken(t *testing.T) {
	_, g, _ := tokenServer(t)
	first := g.prepare(routeKey, "noop", "a", "noop", "b")
	if again := dial(t, g.conn.RemoteAddr().String()).prepare(routeKey, "noop", "a", "noop", "b"); again != first {
		t.Errorf("%d, then %d", first, again)
	}
}

func TestDifferentConfDifferentToken(t *testing.T) {
	_, g, _ := tokenServer(t)
	seen := map[uint32]string{}
	for _, c := range [][]string{
		{routeKey},
		{routeKey, "noop", ""},
		{routeKey, "noop", "a"},
		{routeKey, "noop", "a", "noop", "b"},
		{routeKey, "noop", "b", "noop", "a"},
		{routeKey, "noop", "ab", "noop", ""},
		{routeKey, "noopa", ""},
		{routeKey + "noop", "a", "noop", "a"},
		{"route#r#ext-plugin-pre-req#2", "noop", "a"},
		{"route#r#ext-plugin-post-req#1", "noop", "a"},
	} {
		token := g.prepare(c[0], c[1:]...)
		if other, ok := seen[token]; ok {
			t.Errorf("%q has the token of %q", c, other)
		}
		seen[token] = fmt.Sprint(c)
	}
}

func TestRepeatedPrepareConfKeepsEarlierTokens(t *testing.T) {
	_, g, _ := tokenServer(t)
	var tokens []uint32
	for i := range 50 {
		tokens = append(tokens, g.prepare(routeKey, "say", fmt.Sprintf(`{"body":"%d"}`, i)))
	}
	for i, token := range tokens {
		if r := g.call(call{token: token}); r.Body != strconv.Itoa(i) {
			t.Errorf("token %d of configuration %d answers %q", token, i, r.Body)
		}
	}
}

func TestTokenLivesTwoHoursAfterItsLastUse(t *testing.T) {
	_, g, clock := tokenServer(t)
	token := g.prepare(routeKey, "noop", "")
	for range 3 {
		clock.advance(2 * time.Hour)
		if !holds(g, token) {
			t.Fatal("a token in use is gone")
		}
	}
	clock.advance(2*time.Hour + time.Nanosecond)
	if holds(g, token) {
		t.Error("a token that nobody used holds")
	}
}

func TestPreparingIsUse(t *testing.T) {
	_, g, clock := tokenServer(t)
	token := g.prepare(routeKey, "noop", "")
	clock.advance(2 * time.Hour)
	if g.prepare(routeKey, "noop", "") != token {
		t.Fatal("another token")
	}
	clock.advance(2 * time.Hour)
	if !holds(g, token) {
		t.Error("the token is gone")
	}
}

// TestPreparedAfterExpiry: the gateway must get a token that holds; one that does not makes it forget those of all routes.
func TestPreparedAfterExpiry(t *testing.T) {
	_, g, clock := tokenServer(t)
	old := g.prepare(routeKey, "noop", "")
	clock.advance(tokenLife + time.Second)
	token := g.prepare(routeKey, "noop", "")
	if !holds(g, token) {
		t.Errorf("token %d after %d was got and does not hold", token, old)
	}
}

// TestExpiredTokensTakeNoRoom: whoever prepares next sweeps them out.
func TestExpiredTokensTakeNoRoom(t *testing.T) {
	s, g, clock := tokenServer(t)
	for i := range 100 {
		g.prepare(fmt.Sprintf("route#%d#ext-plugin-pre-req#1", i), "noop", "")
	}
	clock.advance(tokenLife + time.Second)
	g.prepare(routeKey, "noop", "")
	if n, byConf := len(s.tokens.byToken), len(s.tokens.byConf); n != 1 || byConf != 1 {
		t.Errorf("%d tokens and %d configurations are held", n, byConf)
	}
}

func TestExpiredTokensAreNotHandedOver(t *testing.T) {
	s, g, clock := tokenServer(t)
	g.prepare("route#old#ext-plugin-pre-req#1", "noop", "")
	clock.advance(tokenLife)
	g.prepare(routeKey, "noop", "")
	clock.advance(time.Second)
	if all := s.Tokens(); len(all) != 1 || string(all[0].Key) != routeKey {
		t.Errorf("%v", all)
	}
}

// TestTokensAreBounded: the one used longest ago makes room, and no other.
func TestTokensAreBounded(t *testing.T) {
	s, g, _ := tokenServer(t)
	key := func(i int) prepared { return prepared{key: fmt.Appendf(nil, "route#%d#ext-plugin-pre-req#1", i)} }
	first := g.prepare(routeKey, "noop", "")
	for i := range maxTokens - 1 {
		if _, err := s.prepare(key(i), own()); err != nil {
			t.Fatal(err)
		}
	}
	if !holds(g, first) { // and is the one used last now
		t.Fatal("a token is gone before the bound")
	}
	second, _ := s.tokens.known(key(1), hashConf(key(1), own()), own())
	if _, err := s.prepare(key(maxTokens), own()); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.tokens.known(key(0), hashConf(key(0), own()), own()); ok {
		t.Error("the one used longest ago holds")
	}
	if !holds(g, first) || !holds(g, second) {
		t.Error("one that was used is gone")
	}
	if n, byConf := len(s.tokens.byToken), len(s.tokens.byConf); n != maxTokens || byConf != maxTokens || s.tokens.evicted.Load() != 1 {
		t.Errorf("%d tokens, %d configurations, %d evicted", n, byConf, s.tokens.evicted.Load())
	}
}

func TestConcurrentPrepareConfGetsOneToken(t *testing.T) {
	s, _, _ := tokenServer(t)
	var tokens [32]uint32
	var wg sync.WaitGroup
	for i := range tokens {
		wg.Go(func() { tokens[i], _ = s.prepare(prepared{key: []byte(routeKey)}, own()) })
	}
	wg.Wait()
	for _, token := range tokens {
		if token == 0 || token != tokens[0] {
			t.Fatal(tokens)
		}
	}
}

func TestRestoredTokensHold(t *testing.T) {
	s, g, _ := tokenServer(t)
	token := g.prepare(routeKey, "say", `{"body":"restored"}`)
	after := startServer(t, func(o *Options) { o.Numbers = func() (uint32, error) { return 1 << 20, nil } })
	after.Restore(s.Tokens())
	h := dial(t, after.path)
	if r := h.call(call{token: token}); r.Body != "restored" {
		t.Errorf("%+v", r)
	}
	if again := h.prepare(routeKey, "say", `{"body":"restored"}`); again != token {
		t.Errorf("%d, then %d", token, again)
	}
}

// TestNoNumbersFailOneCallOnly: the gateway is told, and the connection lives.
func TestNoNumbersFailOneCallOnly(t *testing.T) {
	failing := true
	s := startServer(t, func(o *Options) {
		o.Numbers = func() (uint32, error) {
			if failing {
				return 0, errors.New("none left")
			}
			return 7, nil
		}
	})
	g := dial(t, s.path)
	if r := g.exchange(kindPrepareConf, encodePrepare(routeKey)); r.Kind != kindError || r.Code != apierr.CodeSERVICE_UNAVAILABLE {
		t.Errorf("%+v", r)
	}
	failing = false
	g.prepare(routeKey)
}

// reserve returns a process's numbers, and what it was warned of.
func reserve(t *testing.T, path string) (*Numbers, []error) {
	t.Helper()
	var warned []error
	n, err := ReserveNumbers(path, func(err error) { warned = append(warned, err) })
	if err != nil {
		t.Fatal(err)
	}
	return n, warned
}

func take(t *testing.T, n *Numbers) uint32 {
	t.Helper()
	number, err := n.Take()
	if err != nil || number == 0 {
		t.Fatal(number, err)
	}
	return number
}

func TestReservationsNeverOverlap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	seen := map[uint32]bool{}
	for range 200 {
		n, warned := reserve(t, path)
		if len(warned) > 0 || seen[take(t, n)>>16] {
			t.Fatalf("%v, %v", warned, seen)
		}
		seen[uint32(n.next>>16)] = true
	}
}

func TestBlockIsUsedWholeThenTheNext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	n, _ := reserve(t, path)
	other, _ := reserve(t, path)
	theirs := take(t, other) >> 16
	seen := map[uint32]bool{}
	for range 2*blockSize + 10 {
		number := take(t, n)
		if seen[number] || number>>16 == theirs {
			t.Fatalf("%d a second time", number)
		}
		seen[number] = true
	}
}

// TestProcessesNeverGetTheSameNumber: eight at once, each over more than a block.
func TestProcessesNeverGetTheSameNumber(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	const processes, each = 8, blockSize + 100
	var outputs [processes][]byte
	var wg sync.WaitGroup
	for i := range processes {
		wg.Go(func() {
			cmd := exec.Command(os.Args[0], path, strconv.Itoa(each))
			cmd.Env = append(os.Environ(), childEnv+"="+childNumbers)
			var err error
			if outputs[i], err = cmd.Output(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	seen := make(map[string]bool, processes*each)
	for _, output := range outputs {
		for line := range strings.Lines(string(output)) {
			if seen[line] {
				t.Fatalf("%s was given out twice", line)
			}
			seen[line] = true
		}
	}
	if len(seen) != processes*each {
		t.Errorf("%d numbers", len(seen))
	}
}

// TestLostFileIsNotTheFirst: who finds none cannot know that it never was; to begin again at the same block would give
// the numbers out that the gateway still holds.
func TestLostFileIsNotTheFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	begins := map[uint32]bool{}
	for range 8 {
		n, _ := reserve(t, path)
		begins[take(t, n)>>16] = true
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if len(begins) < 7 { // two of eight meet by chance once in 2,300 runs, three once in millions
		t.Errorf("blocks %v", begins)
	}
}

func TestLastBlockIsFollowedByTheFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte("65535\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n, _ := reserve(t, path)
	if got := take(t, n); got != 65535<<16 {
		t.Errorf("%d", got)
	}
	if n, _ = reserve(t, path); take(t, n) != 1 { // 0 is no token
		t.Error("the first block does not follow")
	}
}

// TestDamagedFile: numbers may have been given out that it does not tell of; it is left for who looks into it.
func TestDamagedFile(t *testing.T) {
	for _, content := range []string{"x", "65536", "-1", "1 2", "0x10", "1e3", "99999999999999999999", strings.Repeat("1", 1<<20), "12\x00", "１２"} {
		path := filepath.Join(t.TempDir(), "tokens")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		checkRandom(t, path)
		if got, _ := os.ReadFile(path); string(got) != content {
			t.Errorf("%.20q became %.20q", content, got)
		}
	}
}

// checkRandom reserves where the file cannot be kept: blocks differ, and the warning names the file and the probability.
func checkRandom(t *testing.T, path string) {
	t.Helper()
	seen := map[uint32]bool{}
	for range 8 {
		n, warned := reserve(t, path)
		seen[take(t, n)>>16] = true
		if len(warned) != 1 || !strings.Contains(warned[0].Error(), path) || !strings.Contains(warned[0].Error(), "1 in 65536") || len(warned[0].Error()) > 600 {
			t.Errorf("warned: %v", warned)
		}
	}
	if len(seen) < 7 {
		t.Errorf("blocks %v", seen)
	}
}

func TestNoFolder(t *testing.T)      { checkRandom(t, filepath.Join(t.TempDir(), "none", "tokens")) }
func TestFolderIsThere(t *testing.T) { checkRandom(t, t.TempDir()) }

func TestReadOnlyFolder(t *testing.T) {
	if os.Geteuid() == 0 {
		checkRandom(t, "/proc/fivetuple-tokens") // root may write everywhere but where there is nothing to write to
		return
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil { //nolint:gosec // a folder
		t.Fatal(err)
	}
	checkRandom(t, filepath.Join(dir, "tokens"))
}

func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		skip(t, "no /dev/full")
	}
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	checkRandom(t, path)
}
