package gateway

import (
	"errors"
	"fmt"
	"strings"
)

// snippets is what the stand-in plays of nginx_config's snippets: exactly more_clear_input_headers,
// more_set_input_headers and proxy_set_header NAME "" at the location, and map "" $name { default "..."; }
// at http level. Anything else is refused by its name: left out, it would make the stand-in lie.
type snippets struct {
	input []inputRule
	// unsent are the names that proxy_set_header keeps from the upstream.
	unsent []string
	// maps are the templates of map variables by name.
	maps map[string]template
}

// inputRule changes the request's headers: it clears the patterns, or sets name.
type inputRule struct {
	clear []string // names, a trailing * stands for any rest
	name  string
	value template
}

var (
	errDirective = errors.New("the stand-in does not play this")
	errArguments = errors.New("arguments not understood")
)

// loadSnippets reads both snippets; an error names the directive.
func loadSnippets(location, http string) (*snippets, error) {
	s := &snippets{maps: make(map[string]template)}
	list, err := parseSnippet(http)
	if err != nil {
		return nil, fmt.Errorf("http_configuration_snippet: %w", err)
	}
	for _, d := range list {
		if err := s.loadHTTP(d); err != nil {
			return nil, fmt.Errorf("http_configuration_snippet: line %d: %q: %w", d.line, d.words, err)
		}
	}
	list, err = parseSnippet(location)
	if err != nil {
		return nil, fmt.Errorf("http_server_location_configuration_snippet: %w", err)
	}
	for _, d := range list {
		if err := s.loadLocation(d); err != nil {
			return nil, fmt.Errorf("http_server_location_configuration_snippet: line %d: %q: %w", d.line, d.words, err)
		}
	}
	return s, s.checkVariables()
}

func (s *snippets) loadHTTP(d directive) error {
	if d.words[0] != "map" {
		return errDirective
	}
	simple := len(d.words) == 3 && d.words[1] == "" && len(d.block) == 1 &&
		len(d.block[0].words) == 2 && d.block[0].words[0] == "default"
	if !simple {
		return fmt.Errorf(`%w: only map "" $name { default "..."; }`, errArguments)
	}
	name, ok := strings.CutPrefix(d.words[2], "$")
	if !ok || name == "" {
		return fmt.Errorf("%w: %q is not a variable", errArguments, d.words[2])
	}
	value, err := parseTemplate(d.block[0].words[1])
	s.maps[name] = value
	return err
}

func (s *snippets) loadLocation(d directive) error {
	if d.block != nil {
		return errDirective
	}
	switch args := d.words[1:]; d.words[0] {
	case "more_clear_input_headers":
		return s.loadClear(args)
	case "more_set_input_headers":
		return s.loadSet(args)
	case "proxy_set_header":
		if len(args) != 2 || args[1] != "" || !validName(args[0]) || strings.HasSuffix(args[0], "*") {
			return fmt.Errorf(`%w: only proxy_set_header NAME ""`, errArguments)
		}
		s.unsent = append(s.unsent, args[0])
		return nil
	default:
		return errDirective
	}
}

func (s *snippets) loadClear(patterns []string) error {
	for _, pattern := range patterns {
		if !validName(strings.TrimSuffix(pattern, "*")) {
			return fmt.Errorf("%w: %q is neither a header name nor one with * at its end", errArguments, pattern)
		}
	}
	s.input = append(s.input, inputRule{clear: patterns})
	return nil
}

func (s *snippets) loadSet(lines []string) error {
	for _, line := range lines {
		name, text, ok := strings.Cut(line, ":")
		if !ok || !validName(name) {
			return fmt.Errorf("%w: %q is not \"Name: value\"", errArguments, line)
		}
		value, err := parseTemplate(strings.TrimSpace(text))
		if err != nil {
			return err
		}
		s.input = append(s.input, inputRule{name: name, value: value})
	}
	return nil
}

// checkVariables refuses variables that do not exist, as nginx does when it starts.
func (s *snippets) checkVariables() error {
	templates := make([]template, 0, len(s.maps)+len(s.input))
	for _, value := range s.maps {
		for _, part := range value {
			if _, isMap := s.maps[part.variable]; isMap {
				return fmt.Errorf("%w: map variable $%s inside a map", errArguments, part.variable)
			}
		}
		templates = append(templates, value)
	}
	for _, rule := range s.input {
		templates = append(templates, rule.value)
	}
	for _, value := range templates {
		for _, part := range value {
			if _, isMap := s.maps[part.variable]; part.variable != "" && !isMap && !knownVariable(part.variable) {
				return fmt.Errorf("%w: unknown variable $%s", errArguments, part.variable)
			}
		}
	}
	return nil
}

// validName says whether s is a field name: a token of RFC 9110, section 5.6.2.
func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
		if !alnum && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
