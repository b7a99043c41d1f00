// Package server speaks APISIX's ext-plugin protocol: it answers the gateway's frames by running plugins of the library's
// contract (github.com/apache/apisix-go-plugin-runner/pkg/plugin) unchanged. The library's own server is not used.
//
// # Reading the source
//
//   - frame.go: how a message lies on the socket.
//   - server.go: listener and connections; session.go: what one connection is asked, one frame after the other.
//   - prepare.go: a route's configuration becomes a token; tokens.go: which numbers, and how long they hold.
//   - identity.go: what route a configuration is of.
//   - call.go: one call through its plugins; decode.go: what is read of it; ask.go: what is asked back.
//   - request.go, header.go, writer.go, response.go: what plugins see; encode.go: what is answered.
//   - reserve.go: numbers that no other process gives out.
//   - status.go: a process reports its status; seen.go: which routes it has seen.
//   - peers.go: who connects, and how many connections each user has; held.go: bytes of long frames.
//   - listen.go: the socket and its file; access.go: who may connect to it; takeover.go: how another process takes all over, takeover_give.go and
//     takeover_take.go: its two sides, takeover_tokens.go and takeover_rights.go: tokens and descriptors on the way.
//   - systemd.go, systemd_store.go: what the service manager hands over, and what it is given to keep.
package server
