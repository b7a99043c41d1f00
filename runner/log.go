package main

import (
	"io"

	"github.com/rs/zerolog"

	"fivetuple/conf"
)

// newLog returns a logger as the settings say; the level was checked when they were loaded.
func newLog(w io.Writer, o conf.Log) zerolog.Logger {
	if o.Format == conf.FormatConsole {
		w = zerolog.ConsoleWriter{Out: w, NoColor: true}
	}
	level, err := zerolog.ParseLevel(o.Level)
	if err != nil {
		level = zerolog.InfoLevel
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}
