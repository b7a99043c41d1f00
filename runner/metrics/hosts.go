package metrics

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
)

// hosts are the names by which readers may call the listener. A web page of an attacker, whose name its DNS server points at a loopback
// address after the page was loaded (DNS rebinding), has the reader's browser ask with the attacker's name.
type hosts struct {
	names      map[string]bool
	everywhere bool // also on addresses that are not loopback
	refused    atomic.Uint64
}

// newHosts allows localhost, this host's name and the given ones. Where some are given, others are refused on every address: else on
// loopback alone, because whoever lets other hosts read the metrics has names for it that are not known here.
func newHosts(further []string) *hosts {
	h := &hosts{names: map[string]bool{"localhost": true}, everywhere: len(further) > 0}
	if own, err := os.Hostname(); err == nil { // it may stand for a loopback address, as 127.0.1.1 on Debian
		h.names[canonicalHost(own)] = true
	}
	for _, name := range further {
		h.names[canonicalHost(name)] = true
	}
	return h
}

// check answers 421 to requests that name another host.
func (h *hosts) check(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.isAllowed(r.Host) || !h.everywhere && !isOnLoopback(r) {
			next.ServeHTTP(w, r)
			return
		}
		h.refused.Add(1)
		text := fmt.Sprintf("the host %.100q is not one of this listener's: use its IP address or localhost, or add the name to the setting metrics.hosts",
			r.Host)
		http.Error(w, text, http.StatusMisdirectedRequest)
	})
}

// isAllowed reports whether a Host header is missing, or names an IP address or an allowed name, with or without a port.
func (h *hosts) isAllowed(host string) bool {
	name := canonicalHost(host)
	if name == "" || h.names[name] {
		return true
	}
	_, err := netip.ParseAddr(name)
	return err == nil
}

// canonicalHost returns a name without port, brackets, and the dot of the root, in small letters.
func canonicalHost(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// isOnLoopback reports whether a request came to a loopback address.
func isOnLoopback(r *http.Request) bool {
	at, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return !ok || at.IP.IsLoopback()
}
