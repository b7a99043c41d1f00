package store

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"
)

// What go-redis has to say is written up to logBurst times in logPeriod: without a server it would say the same for each try.
const (
	logBurst  = 5
	logPeriod = 10 * time.Second
)

// logger writes what go-redis logs, which are a few things beside the errors that it returns.
type logger struct {
	log     zerolog.Logger
	secrets *secrets
}

func newLogger(log zerolog.Logger, s *secrets) logger {
	return logger{log.Sample(&zerolog.BurstSampler{Burst: logBurst, Period: logPeriod}), s}
}

// Printf is what go-redis calls.
func (l logger) Printf(_ context.Context, format string, args ...any) {
	l.log.Info().Str("from", "go-redis").Msg(l.secrets.hide(fmt.Sprintf(format, args...)))
}
