package gateway

import (
	"slices"
	"strings"
	"sync"
)

// match finds the route of a path and method: an exact uri before a prefix, a longer prefix before a
// shorter one, then the order of the file. It is nil where APISIX answers 404.
func match(routes []*route, path, method string) *route {
	var best *route
	rank := -1
	for _, r := range routes {
		if len(r.methods) > 0 && !slices.Contains(r.methods, method) {
			continue
		}
		for _, uri := range r.uris {
			if n := matchURI(uri, path); n > rank {
				best, rank = r, n
			}
		}
	}
	return best
}

const exactMatch = 1 << 30 // longer than any prefix

// matchURI returns how well a path matches: -1 not at all, else the length of the matching prefix.
func matchURI(uri, path string) int {
	prefix, wild := strings.CutSuffix(uri, "*")
	switch {
	case !wild && uri == path:
		return exactMatch
	case wild && strings.HasPrefix(path, prefix):
		return len(prefix)
	default:
		return -1
	}
}

// node is one address of an upstream; its share of the calls is weight of the sum of weights.
type node struct {
	address string // host:port
	weight  int    // 0 to 65536; 0 gets nothing
}

// balancer deals calls to nodes by smooth weighted round robin.
type balancer struct {
	nodes []node

	mu     sync.Mutex
	credit []int
}

// next returns the node for the next call; false if all weights are 0.
func (b *balancer) next() (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.credit == nil {
		b.credit = make([]int, len(b.nodes))
	}
	best, sum := -1, 0
	for i, n := range b.nodes {
		b.credit[i] += n.weight
		sum += n.weight
		if n.weight > 0 && (best < 0 || b.credit[i] > b.credit[best]) {
			best = i
		}
	}
	if best < 0 {
		return "", false
	}
	b.credit[best] -= sum
	return b.nodes[best].address, true
}
