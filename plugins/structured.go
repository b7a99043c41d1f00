package plugins

import (
	"math"
	"strconv"

	"fivetuple/correlator/signal"
)

// structured writes Structured Field values (RFC 9651, 4.1) into one buffer, without an allocation for each. What can be
// written are tokens and strings that this package makes, integers and decimals in range, and true parameters; tests hold every value
// against a library's reading.
type structured struct {
	buf []byte
}

// maxInteger is the largest Integer (RFC 9651, 3.3.1).
const maxInteger = 999_999_999_999_999

func (s *structured) reset() { s.buf = s.buf[:0] }

// token writes a bare item that is a token.
func (s *structured) token(text string) { s.buf = append(s.buf, text...) }

// integer writes a bare item that is an integer; one too large is the largest.
func (s *structured) integer(n uint64) { s.buf = strconv.AppendUint(s.buf, min(n, maxInteger), 10) }

// thousandths writes a bare item that is a decimal, of at most three digits behind its point (RFC 9651, 3.3.2).
func (s *structured) thousandths(n uint64) {
	s.integer(n / 1000)
	s.buf = append(s.buf, '.', byte('0'+n/100%10))
	if n%100 == 0 {
		return
	}
	if s.buf = append(s.buf, byte('0'+n/10%10)); n%10 != 0 {
		s.buf = append(s.buf, byte('0'+n%10))
	}
}

// score writes a bare item that is a score: 0.0 to 1.0.
func (s *structured) score(score float64) { s.thousandths(uint64(math.Round(score * 1000))) }

// scoreOf writes a parameter that is a score.
func (s *structured) scoreOf(key string, score float64) {
	s.key(key)
	s.buf = append(s.buf, '=')
	s.score(score)
}

// signals writes a parameter with the names of signals, separated by spaces, or none.
func (s *structured) signals(set signal.Set) {
	before := byte('"')
	for each := range set.Each {
		if before == '"' {
			s.key("signals")
			s.buf = append(s.buf, '=')
		}
		s.buf = append(s.buf, before)
		s.buf = append(s.buf, each.String()...)
		before = ' '
	}
	if before == ' ' {
		s.buf = append(s.buf, '"')
	}
}

// text writes a bare item that is a string, of printable characters without quote and backslash.
func (s *structured) text(text string) {
	s.buf = append(s.buf, '"')
	s.buf = append(s.buf, text...)
	s.buf = append(s.buf, '"')
}

// member begins a dictionary's member.
func (s *structured) member(key string) {
	if len(s.buf) > 0 {
		s.buf = append(s.buf, ", "...)
	}
	s.buf = append(s.buf, key...)
	s.buf = append(s.buf, '=')
}

func (s *structured) key(key string) {
	s.buf = append(s.buf, ';')
	s.buf = append(s.buf, key...)
}

// flag writes a parameter that is true, or none.
func (s *structured) flag(key string, set bool) {
	if set {
		s.key(key)
	}
}

// number writes a parameter that is an integer.
func (s *structured) number(key string, n uint64) {
	s.key(key)
	s.buf = append(s.buf, '=')
	s.integer(n)
}

// word writes a parameter that is a token, or none.
func (s *structured) word(key, text string) {
	if text != "" {
		s.key(key)
		s.buf = append(s.buf, '=')
		s.token(text)
	}
}
