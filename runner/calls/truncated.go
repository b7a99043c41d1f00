package calls

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"fivetuple/conf/safefile"
)

// logrotate's copytruncate copies the log's file and then truncates it: the file stays the same one and begins anew. A reader that
// follows it finds the lines that it has not read yet in the copy. It knows a truncated file and a copy by the bytes that it read
// last: sizes prove nothing, because the file may have grown again. The copy may lack the last of these bytes, because they were
// written between copy and truncation.

const (
	// tailBytes is how many of the bytes read last are remembered, at least.
	tailBytes = 64 << 10
	// maxCopies is how many files are looked at for a copy, the newest first.
	maxCopies = 32
	// compressedSuffix names copies that logrotate has compressed by its default program.
	compressedSuffix = ".gz"
)

// ErrTruncated means that somebody truncated the log, and that lines may be missing because there is no copy of it.
var ErrTruncated = errors.New("the file was truncated and there is no copy of it beside it: lines may be missing")

// consumed records bytes that were read.
func (r *Reader) consumed(part []byte) {
	r.offset += int64(len(part))
	r.tail = append(r.tail, part...)
	if over := len(r.tail) - tailBytes; over > tailBytes {
		r.tail = append(r.tail[:0], r.tail[over:]...)
	}
}

// checkTruncation checks whether the current file still holds the bytes that were read from it. If not, it reads the rest of the copy,
// and begins the file anew.
func (r *Reader) checkTruncation() error {
	if holdsAt(r.file, r.offset, r.tail) {
		return nil
	}
	if err := r.readCopy(); err != nil {
		return err
	}
	if _, err := r.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r.begin(r.file)
	return nil
}

// readCopy reads the part of a truncated file's copy that was not read from the file.
func (r *Reader) readCopy() error {
	rest, err := openCopy(r.file.Name(), r.offset, r.tail)
	if err != nil {
		return err
	}
	if rest == nil {
		r.damaged(fmt.Errorf("%s: %w", r.file.Name(), ErrTruncated))
		return nil
	}
	r.lines.Reset(rest)
	return errors.Join(r.toEnd(), r.lastLine(), rest.Close())
}

// holdsAt reports whether a file has the bytes that end at an offset.
func holdsAt(f io.ReaderAt, offset int64, tail []byte) bool {
	there := make([]byte, len(tail))
	n, _ := f.ReadAt(there, offset-int64(len(tail)))
	return bytes.Equal(there[:n], tail)
}

// openCopy opens a copy of a file behind the given offset, before which the file had the given bytes; nil if there is none.
func openCopy(file string, offset int64, tail []byte) (io.ReadCloser, error) {
	for range 2 { // a copy that is being compressed has one name or the other, but not always at the moment it is looked for
		names, err := copies(file)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if found := openAt(name, offset, tail); found != nil {
				return found, nil
			}
		}
	}
	return nil, nil //nolint:nilnil // there is none, which is no error
}

// copies lists what may be copies of a log: the compressed ones last, the newest first.
func copies(file string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil {
		return nil, err
	}
	type candidate struct {
		name     string
		modified int64
	}
	var found []candidate
	stem := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() && strings.HasPrefix(e.Name(), stem) && e.Name() != filepath.Base(file) {
			found = append(found, candidate{e.Name(), info.ModTime().UnixNano()})
		}
	}
	slices.SortFunc(found, func(a, b candidate) int { return cmp.Compare(b.modified, a.modified) })
	var plain, compressed []string
	for _, c := range found[:min(len(found), maxCopies)] {
		path := filepath.Join(filepath.Dir(file), c.name)
		if strings.HasSuffix(path, compressedSuffix) {
			compressed = append(compressed, path)
		} else {
			plain = append(plain, path)
		}
	}
	return append(plain, compressed...), nil
}

// copyFile is an open copy.
type copyFile struct {
	io.Reader
	io.Closer
}

// openAt opens a file at an offset, or at its end before that, if it has at least half of the bytes that end at the offset; else it
// returns nil.
func openAt(name string, offset int64, tail []byte) io.ReadCloser {
	f, err := safefile.OpenRead(name, unix.O_NOFOLLOW)
	if err != nil {
		return nil
	}
	var text io.Reader = f
	if strings.HasSuffix(name, compressedSuffix) {
		text, err = gzip.NewReader(f)
	}
	if err == nil {
		_, err = io.CopyN(io.Discard, text, offset-int64(len(tail)))
	}
	there, n := make([]byte, len(tail)), 0
	if err == nil {
		n, err = io.ReadFull(text, there)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) && 2*n >= len(tail) {
		err = nil
	}
	if err != nil || !bytes.Equal(there[:n], tail[:n]) {
		_ = f.Close() // it was only read
		return nil
	}
	return copyFile{text, f}
}
