package store

import (
	"strings"
	"testing"
)

// TestPasswordsThatBeginAlike: as a file's old and new one may. Of none is anything left, whichever was sent first, whole or cut.
func TestPasswordsThatBeginAlike(t *testing.T) {
	const first, second = "fivetuple-gw-1-january", "fivetuple-gw-1-june-is-longer"
	for _, order := range [][]string{{first, second}, {second, first}} {
		var s secrets
		for _, secret := range order {
			s.add(secret)
		}
		for _, secret := range order {
			for n := minCut; n <= len(secret); n++ {
				text := "ERR unknown command: AUTH, gw, " + secret[:n]
				if hidden := s.hide(text + "\n" + text); hidden != strings.ReplaceAll(text+"\n"+text, secret[:n], "(password)") {
					t.Errorf("%s: %q", text, hidden)
				}
			}
		}
	}
}
