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
	for _, secret := range s.seen {
		text = hideOne(text, secret)
	}
	return text
}

// hideOne replaces a password, and as much of its beginning as there is.
func hideOne(text, secret string) string {
	const instead = "(password)"
	head := secret[:min(len(secret), minCut)]
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, head)
		out.WriteString(before)
		if !found {
			return out.String()
		}
		out.WriteString(instead)
		n := 0
		for rest := secret[len(head):]; n < min(len(rest), len(after)) && rest[n] == after[n]; {
			n++
		}
		text = after[n:]
	}
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
