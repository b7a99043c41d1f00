package server

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	// tokensText starts an encoded list of tokens; its last byte is the version.
	tokensText = "fivetuple tokens 1\n"
	// maxTokenBytes bounds an encoded list. What does not fit is left out, the tokens used longest ago first, and
	// counted: the gateway prepares such a configuration anew.
	maxTokenBytes = 64 << 20
)

// errTokens means that a text is no list of tokens.
var errTokens = errors.New("no list of tokens")

// encodeTokens encodes a list whose last one was used last. It returns how many it left out.
func encodeTokens(tokens []Token) (text []byte, left int) {
	size := len(tokensText)
	first := len(tokens)
	for first > 0 {
		if size += tokens[first-1].size(); size > maxTokenBytes {
			break
		}
		first--
	}
	b := []byte(tokensText)
	for _, t := range tokens[first:] {
		b = binary.BigEndian.AppendUint32(b, t.Number)
		b = appendText(b, t.Key)
		b = binary.BigEndian.AppendUint32(b, uint32(len(t.Conf)))
		for _, e := range t.Conf {
			b = appendText(appendText(b, e[0]), e[1])
		}
	}
	return b, first
}

// size returns the length of a token's encoding.
func (t Token) size() int {
	n := 12 + len(t.Key)
	for _, e := range t.Conf {
		n += 8 + len(e[0]) + len(e[1])
	}
	return n
}

func appendText(b, text []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...)
}

// decodeTokens decodes what encodeTokens encoded. The tokens are copies.
func decodeTokens(text []byte) ([]Token, error) {
	rest, ok := bytes.CutPrefix(text, []byte(tokensText))
	if !ok || len(text) > maxTokenBytes {
		return nil, fmt.Errorf("%w: %d bytes, %q", errTokens, len(text), shorten(string(text)))
	}
	d := tokenDecoder{rest: rest}
	var tokens []Token
	for len(d.rest) > 0 && !d.short {
		t := Token{Number: d.number(), Key: d.text()}
		for n := d.number(); n > 0 && !d.short; n-- {
			t.Conf = append(t.Conf, [2][]byte{d.text(), d.text()})
		}
		tokens = append(tokens, t)
	}
	if d.short {
		return nil, fmt.Errorf("%w: it ends within token %d", errTokens, len(tokens))
	}
	return tokens, nil
}

// tokenDecoder reads from the front. Once something is longer than the rest, all that follows is empty.
type tokenDecoder struct {
	rest  []byte
	short bool
}

func (d *tokenDecoder) take(n uint32) []byte {
	if d.short || uint64(n) > uint64(len(d.rest)) {
		d.short, d.rest = true, nil
		return nil
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken
}

func (d *tokenDecoder) number() uint32 {
	b := d.take(4)
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

func (d *tokenDecoder) text() []byte { return bytes.Clone(d.take(d.number())) }
