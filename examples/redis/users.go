//go:build linux

package redistest

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
