package server

import (
	"strings"
	"testing"
	"time"
)

// TestAClockThatIsSetEndsNoToken: the last use has Go's monotonic reading, so that a step of the host's clock, which
// nothing here may make, changes no token's life.
func TestAClockThatIsSetEndsNoToken(t *testing.T) {
	tokens := newTokens(func() (uint32, error) { return 7, nil }, time.Now)
	if _, err := tokens.add(confKey{1}, prepared{}, new(rules), 1); err != nil {
		t.Fatal(err)
	}
	if p := tokens.byToken[7]; !strings.Contains(p.lastUse.String(), " m=") {
		t.Errorf("the last use %v has no monotonic reading", p.lastUse)
	}
}
