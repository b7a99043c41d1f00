// Package calls writes the records of finished calls as JSON lines, and reads them back. conf/calls.md has the fields.
//
// # Reading the source
//
//   - queue.go: between the request path, which never waits, and what takes its time.
//   - log.go: which calls are written, and when; line.go is one line, file.go the files and their rotation.
//   - sample.go, address.go, path.go: what is left out.
//   - files.go, read.go, follow.go: reading, over rotated files, too.
package calls
