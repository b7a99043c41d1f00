package gateway

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// ErrConfig is in every error about the content of the two configuration files. Its text names the file,
// line and column, the key and its value.
var ErrConfig = errors.New("configuration")

// yamlFile is a parsed file: it turns what is wrong with a value into an error that tells where.
type yamlFile struct {
	name string
	tree *ast.File
}

// decodeYAML reads text strictly into a value: unknown keys, doubled keys and wrong types are errors.
func decodeYAML(name string, text []byte, into any) (*yamlFile, error) {
	tree, err := parser.ParseBytes(text, 0)
	f := &yamlFile{name: name, tree: tree}
	if err != nil {
		return nil, f.explain(err)
	}
	if len(tree.Docs) != 1 {
		return nil, fmt.Errorf("%w: %s: %d YAML documents, want 1", ErrConfig, name, len(tree.Docs))
	}
	if err := yaml.UnmarshalWithOptions(text, into, yaml.Strict()); err != nil {
		return nil, f.explain(err)
	}
	return f, nil
}

// explain adds place, key and value to an error of the YAML package or of a value's own decoder.
func (f *yamlFile) explain(err error) error {
	if place, ok := errors.AsType[*valueError](err); ok {
		return f.at(place.token, place.why)
	}
	var known yaml.Error
	if errors.As(err, &known) && known.GetToken() != nil {
		return f.at(known.GetToken(), known.GetMessage())
	}
	return fmt.Errorf("%w: %s: %w", ErrConfig, f.name, err)
}

func (f *yamlFile) at(tok *token.Token, why string) error {
	where := fmt.Sprintf("%s:%d:%d", f.name, tok.Position.Line, tok.Position.Column)
	key := strings.TrimPrefix(f.pathOf(tok), "$.")
	return fmt.Errorf("%w: %s: %s: %s (value %q)", ErrConfig, where, key, why, tok.Value)
}

// wrong reports the value at a YAML path ($.routes[0].uri), or its nearest parent that is there.
func (f *yamlFile) wrong(path, why string) error {
	for p := path; p != ""; p = parentPath(p) {
		at, err := yaml.PathString(p)
		if err != nil {
			break
		}
		node, err := at.FilterFile(f.tree)
		if err != nil || node == nil {
			continue
		}
		tok := firstToken(node)
		where := fmt.Sprintf("%s:%d:%d", f.name, tok.Position.Line, tok.Position.Column)
		return fmt.Errorf("%w: %s: %s: %s", ErrConfig, where, strings.TrimPrefix(path, "$."), why)
	}
	return fmt.Errorf("%w: %s: %s: %s", ErrConfig, f.name, path, why)
}

// firstToken is where a node begins: of a mapping its first key, not its first colon.
func firstToken(node ast.Node) *token.Token {
	if m, ok := node.(*ast.MappingNode); ok && len(m.Values) > 0 {
		return m.Values[0].Key.GetToken()
	}
	return node.GetToken()
}

func parentPath(path string) string {
	at := strings.LastIndexAny(path, ".[")
	if at < 0 {
		return ""
	}
	return path[:at]
}

// pathOf finds the key whose node begins with the token.
func (f *yamlFile) pathOf(tok *token.Token) string {
	finder := &pathFinder{line: tok.Position.Line, column: tok.Position.Column, path: "$"}
	if f.tree != nil {
		for _, doc := range f.tree.Docs {
			ast.Walk(finder, doc.Body)
		}
	}
	return finder.path
}

type pathFinder struct {
	line, column int
	path         string
}

// Visit keeps the innermost match: the walk goes from the outside in.
func (p *pathFinder) Visit(node ast.Node) ast.Visitor {
	at := node.GetToken().Position
	if at.Line == p.line && at.Column == p.column {
		p.path = node.GetPath()
	}
	return p
}

// valueError is what a value's own decoder says of it.
type valueError struct {
	token *token.Token
	why   string
}

func (e *valueError) Error() string { return e.why }

// text is a string that was written as one: a number or a boolean in its place is refused.
type text string

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (t *text) UnmarshalYAML(node ast.Node) error {
	value, err := textOf(node)
	*t = text(value)
	return err
}

func textOf(node ast.Node) (string, error) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	default:
		return "", &valueError{token: node.GetToken(), why: "want a string, got " + strings.ToLower(node.Type().String())}
	}
}
