package conf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Log are the settings of the log on standard error, the section `log`.
type Log struct {
	// Level is the least severe level written: LevelDebug, LevelInfo, LevelWarn or LevelError.
	Level string `koanf:"level"`
	// Format is FormatJSON or FormatConsole.
	Format string `koanf:"format"`
}

// The values of Log.Level, the least severe first.
const (
	LevelDebug = "debug"
	LevelInfo  = "info"
	LevelWarn  = "warn"
	LevelError = "error"
)

// The values of Log.Format.
const (
	FormatJSON    = "json"    // one object a line
	FormatConsole = "console" // text for people
)

// Validate reports every setting that is not one of its values.
func (l Log) Validate() error {
	return errors.Join(
		oneOf("level", l.Level, LevelDebug, LevelInfo, LevelWarn, LevelError),
		oneOf("format", l.Format, FormatJSON, FormatConsole),
	)
}

func oneOf(key, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s: %q is not one of %s", key, value, strings.Join(allowed, ", "))
}
