//go:build linux

package redistest

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// The user by whom servers know each other and the rig knows them: an ACL under test need not name it.
const adminUser, adminPassword = "rig", "rig-of-the-tests"

// users is the ACL file. The line of the rig comes last, so that no ACL takes it away.
func (s *Server) users(acl string) string {
	if acl == "" {
		acl = "user default on nopass ~* &* +@all\n"
	}
	return acl + "\nuser " + adminUser + " on >" + adminPassword + " ~* &* +@all\n"
}

// SetACL replaces the users; connections of users that are gone are closed, the rest keep what they have until Disconnect.
func (s *Server) SetACL(acl string) {
	s.t.Helper()
	s.write("users.acl", s.users(acl))
	s.Do("ACL", "LOAD")
}

// WithPassword returns the text of an ACL file with the hash of a password in the place of PASSWORD.
func WithPassword(acl, password string) string {
	hash := sha256.Sum256([]byte(password))
	return strings.ReplaceAll(acl, "PASSWORD", hex.EncodeToString(hash[:]))
}

// Users returns the text of an ACL file like conf/redis/fivetuple.acl for a fleet, some of its gateways and people; everybody's
// password is their name.
func Users(acl, fleet string, gateways ...string) string {
	var users strings.Builder
	for line := range strings.Lines(acl) {
		names := []string{"people"}
		if strings.Contains(line, "GATEWAY") {
			names = gateways
		}
		for _, name := range names {
			users.WriteString(WithPassword(strings.NewReplacer("FLEET", fleet, "GATEWAY", name).Replace(line), name))
		}
	}
	return users.String()
}
