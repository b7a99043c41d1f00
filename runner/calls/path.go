package calls

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// The values of Options.Path.
const (
	PathOff  = "off"
	PathHash = "hash"
	PathFull = "full"
)

// maxPath is the longest path that is recorded, in bytes; more is cut.
const maxPath = 1024

// Path returns what a call's record may keep of its request's path, as the setting says: nothing, the first 16 hexadecimal
// digits of its SHA-256, or the path itself. The query is never kept.
func Path(setting, path string) string {
	path, _, _ = strings.Cut(path, "?")
	switch setting {
	case PathHash:
		sum := sha256.Sum256([]byte(path))
		return hex.EncodeToString(sum[:8])
	case PathFull:
		return strings.Clone(path[:min(len(path), maxPath)])
	}
	return ""
}
