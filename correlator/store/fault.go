package store

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// outcomeOf says what an error means for a write. Only what the server will say again, whenever it is asked, is final: the user may not,
// the key is of another type, the command is wrong. All else heals: no connection, a wrong password, no memory, a replica, a
// cluster that is being mended.
func outcomeOf(err error) outcome {
	var answer redis.Error
	switch {
	case err == nil, errors.Is(err, redis.Nil): // Nil: there was no older value
		return arrived
	case !errors.As(err, &answer):
		return notNow
	case redis.IsPermissionError(err), redis.HasErrorPrefix(err, "WRONGTYPE"), errors.Is(err, redis.ErrCrossSlot):
		return refused
	case strings.HasPrefix(answer.Error(), "ERR ") && !redis.IsMaxClientsError(err):
		return refused
	default:
		return notNow
	}
}

// execute runs a transaction. When the server discards it (EXECABORT), execute returns the error of the first command that the
// server refused: only that one has the cause.
func execute(ctx context.Context, transaction redis.Pipeliner) error {
	cmds, err := transaction.Exec(ctx)
	if !redis.IsExecAbortError(err) {
		return err
	}
	for _, cmd := range cmds {
		if cause := cmd.Err(); cause != nil && !redis.IsExecAbortError(cause) {
			return cause
		}
	}
	return err
}

// maxErrorText is the longest text of an error that is shown, in bytes.
const maxErrorText = 200

// errorText returns an error as it may be shown: short, and one line.
func errorText(err error) string {
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(err.Error(), "?"))
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "..."
	}
	return text
}

// isSilent says whether an error is nobody's answer.
func isSilent(err error) bool {
	var answer redis.Error
	return err != nil && !errors.As(err, &answer)
}
