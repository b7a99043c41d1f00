package gateway

import (
	"fmt"
	"strings"
)

// template is a text with $variables in it.
type template []templatePart

// templatePart is either a variable or literal text.
type templatePart struct{ variable, text string }

// parseTemplate reads nginx's $name and ${name}. A $ that no name follows is refused, as nginx does.
func parseTemplate(text string) (template, error) {
	var parts template
	for text != "" {
		at := strings.IndexByte(text, '$')
		if at != 0 {
			if at < 0 {
				at = len(text)
			}
			parts = append(parts, templatePart{text: text[:at]})
			text = text[at:]
			continue
		}
		name, rest := variableName(text[1:])
		if name == "" {
			return nil, fmt.Errorf("%w: %q: no variable name after $", errArguments, text)
		}
		parts = append(parts, templatePart{variable: name})
		text = rest
	}
	return parts, nil
}

// variableName takes the name at the start of s; it is empty if there is none.
func variableName(s string) (name, rest string) {
	if inner, ok := strings.CutPrefix(s, "{"); ok {
		name, rest, closed := strings.Cut(inner, "}")
		if !closed {
			return "", s
		}
		return name, rest
	}
	n := 0
	for n < len(s) && (s[n] == '_' || s[n] >= '0' && s[n] <= '9' || s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z') {
		n++
	}
	return s[:n], s[n:]
}

// expand fills the template in; an unset variable is empty.
func (t template) expand(variable func(string) (string, bool)) string {
	var b strings.Builder
	for _, part := range t {
		b.WriteString(part.text)
		if part.variable != "" {
			value, _ := variable(part.variable)
			b.WriteString(value)
		}
	}
	return b.String()
}
