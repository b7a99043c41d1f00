package main

import (
	"path/filepath"

	"github.com/rs/zerolog"

	"fivetuple/conf/safefile"
)

// warnOfFolders logs which of some files ("": none) lie in folders in which other users can replace them. The files themselves are opened
// in a way that such a user gains nothing; but he can remove them, and take their names.
func warnOfFolders(log zerolog.Logger, files ...string) {
	for _, file := range files {
		if file == "" {
			continue
		}
		if err := safefile.CheckDir(filepath.Dir(file)); err != nil {
			log.Warn().Err(err).Str("file", file).Msg("other users can remove or replace a file of this process")
		}
	}
}
