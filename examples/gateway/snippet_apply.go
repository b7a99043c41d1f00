package gateway

import "strings"

// applyInput runs the rules over a request's headers in the order they were written: nginx does it in C,
// before APISIX's Lua phases, so that the runner sees the outcome.
func (s *snippets) applyInput(headers headerList, variable func(string) (string, bool)) headerList {
	for _, rule := range s.input {
		if rule.name != "" {
			headers = headers.set(rule.name, rule.value.expand(variable))
			continue
		}
		headers = headers.remove(func(name string) bool { return matchesAny(rule.clear, name) })
	}
	return headers
}

// applyOutput removes what proxy_set_header keeps from the upstream.
func (s *snippets) applyOutput(headers headerList) headerList {
	return headers.remove(func(name string) bool { return matchesAny(s.unsent, name) })
}

// matchesAny says whether a name is one of the patterns, in any case; a trailing * stands for any rest.
func matchesAny(patterns []string, name string) bool {
	for _, pattern := range patterns {
		prefix, wild := strings.CutSuffix(pattern, "*")
		switch {
		case !wild && strings.EqualFold(name, pattern):
			return true
		case wild && len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix):
			return true
		}
	}
	return false
}
