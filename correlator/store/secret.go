package store

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// maxSecrets is how many passwords are remembered, the latest: a file's old and new one, and that for Sentinels, with room.
const maxSecrets = 8

// minCut is how many bytes of a password's beginning are hidden, too: Redis cuts what it repeats after 128 bytes.
const minCut = 8

// secrets are the passwords that have been sent. A server that does not know a command, as one behind a proxy or with
// renamed commands, repeats its arguments in its error: a password must not get into a log by that way.
type secrets struct {
	mu   sync.Mutex
	seen []string
}

func (s *secrets) add(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if secret == "" || slices.Contains(s.seen, secret) {
		return
	}
	s.seen = append(s.seen, secret)
	s.seen = s.seen[max(0, len(s.seen)-maxSecrets):]
}

// hide returns a text without passwords.
func (s *secrets) hide(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out strings.Builder
	for at := 0; at < len(text); {
		n := s.leads(text[at:])
		if n == 0 {
			out.WriteByte(text[at])
			at++
			continue
		}
		out.WriteString("(password)")
		at += n
	}
	return out.String()
}

// leads returns how many bytes of a password a text begins with; of several that begin alike, of the one that it has most of.
func (s *secrets) leads(text string) (most int) {
	for _, secret := range s.seen {
		n := 0
		for n < min(len(secret), len(text)) && secret[n] == text[n] {
			n++
		}
		if n >= min(len(secret), minCut) {
			most = max(most, n)
		}
	}
	return most
}

// clean returns an error that reads the same without a password; one that has none is returned as it is. So is redis.Nil, which is
// compared and not read.
func (s *secrets) clean(err error) error {
	if err == nil || errors.Is(err, redis.Nil) {
		return err
	}
	text := err.Error()
	if hidden := s.hide(text); hidden != text {
		return hiddenError{hidden, err}
	}
	return err
}

// hiddenError is what it wraps to those who ask, and another text to those who read.
type hiddenError struct {
	text string
	err  error
}

func (e hiddenError) Error() string { return e.text }
func (e hiddenError) Unwrap() error { return e.err }

var _ redis.Hook = (*secrets)(nil)

// DialHook cleans what Sentinels answer, too, which are asked in the course of a connection.
func (s *secrets) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := next(ctx, network, address)
		return conn, s.clean(err)
	}
}

// ProcessHook cleans the error of a command, also of those by which a connection begins.
func (s *secrets) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := s.clean(next(ctx, cmd))
		if err != nil {
			cmd.SetErr(err)
		}
		return err
	}
}

// ProcessPipelineHook cleans the errors of a pipeline's commands.
func (s *secrets) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := s.clean(next(ctx, cmds))
		for _, cmd := range cmds {
			if cmd.Err() != nil {
				cmd.SetErr(s.clean(cmd.Err()))
			}
		}
		return err
	}
}
