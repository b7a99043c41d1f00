package gateway

import (
	"errors"
	"fmt"
	"strings"
)

// directive is one directive of an nginx configuration snippet: its words, and for a block what is in it.
type directive struct {
	words []string
	block []directive
	line  int // in the snippet, from 1
}

var errSnippet = errors.New("snippet")

// parseSnippet reads nginx's configuration syntax: words, quoted strings, comments, ; and { }.
func parseSnippet(text string) ([]directive, error) {
	p := &snippetParser{text: text, line: 1}
	list, err := p.directives(0)
	if err != nil {
		return nil, fmt.Errorf("%w line %d: %w", errSnippet, p.line, err)
	}
	return list, nil
}

const maxSnippetDepth = 2 // what the stand-in plays has blocks of depth 1

type snippetParser struct {
	text string
	at   int
	line int
}

var (
	errSnippetEnd   = errors.New("ends in the middle of a directive")
	errSnippetDepth = errors.New("unexpected {")
	errSnippetClose = errors.New("unexpected }")
	errSnippetSemi  = errors.New("unexpected ;")
	errSnippetQuote = errors.New("a quoted string does not end, or something sticks to its end")
)

// directives reads up to the end of the text, or at depth > 0 to the closing brace.
func (p *snippetParser) directives(depth int) ([]directive, error) {
	var list []directive
	var current directive
	for {
		word, quoted, err := p.next()
		if err != nil {
			return nil, err
		}
		started := len(current.words) > 0
		switch {
		case quoted || word != "" && !strings.Contains(";{}", word):
			if !started {
				current.line = p.line
			}
			current.words = append(current.words, word)
			continue
		case word == "" && !started && depth == 0, word == "}" && !started && depth > 0:
			return list, nil
		case word == "":
			return nil, errSnippetEnd
		case word == "}":
			return nil, errSnippetClose
		case !started:
			return nil, errSnippetSemi
		case word == "{":
			if depth+1 >= maxSnippetDepth {
				return nil, errSnippetDepth
			}
			if current.block, err = p.directives(depth + 1); err != nil {
				return nil, err
			}
		}
		list = append(list, current)
		current = directive{}
	}
}

// next returns the next word, or one of ; { }, or "" at the end.
func (p *snippetParser) next() (word string, quoted bool, err error) {
	p.skip()
	if p.at == len(p.text) {
		return "", false, nil
	}
	switch c := p.text[p.at]; c {
	case ';', '{', '}':
		p.at++
		return string(c), false, nil
	case '"', '\'':
		word, err = p.quoted(c)
		return word, true, err
	}
	start := p.at
	for p.at < len(p.text) && !strings.ContainsRune(" \t\r\n;{}", rune(p.text[p.at])) {
		p.at++
	}
	return p.text[start:p.at], false, nil
}

func (p *snippetParser) skip() {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; c {
		case '\n':
			p.line++
			p.at++
		case ' ', '\t', '\r':
			p.at++
		case '#':
			for p.at < len(p.text) && p.text[p.at] != '\n' {
				p.at++
			}
		default:
			return
		}
	}
}

func (p *snippetParser) quoted(quote byte) (string, error) {
	var b strings.Builder
	for p.at++; p.at < len(p.text); p.at++ {
		c := p.text[p.at]
		switch {
		case c == quote:
			p.at++
			if p.at < len(p.text) && !strings.ContainsRune(" \t\r\n;{)", rune(p.text[p.at])) {
				return "", errSnippetQuote
			}
			return b.String(), nil
		case c == '\\' && p.at+1 < len(p.text) && strings.IndexByte(`"'\`, p.text[p.at+1]) >= 0:
			p.at++
			c = p.text[p.at]
		case c == '\n':
			p.line++
		}
		b.WriteByte(c)
	}
	return "", errSnippetQuote
}
