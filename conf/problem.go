package conf

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// problem is one thing that is wrong in a file.
type problem struct {
	file string
	line int    // counted from 1; 0 where there is none
	key  string // dotted path with list indices; empty for the file as a whole
	text string
}

// Error returns FILE:LINE: KEY: TEXT, without the parts that are not known.
func (p problem) Error() string {
	where := p.file
	if p.line > 0 {
		where = fmt.Sprintf("%s:%d", p.file, p.line)
	}
	if p.key == "" {
		return where + ": " + p.text
	}
	return where + ": " + p.key + ": " + p.text
}

// join returns all problems as one error, one a line, in the file's order; nil if there are none.
func join(problems []problem) error {
	slices.SortStableFunc(problems, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.key, b.key), cmp.Compare(a.text, b.text))
	})
	errs := make([]error, len(problems))
	for i, p := range problems {
		errs[i] = p
	}
	return errors.Join(errs...)
}

// within puts a section before the key with which each of the joined errors begins.
func within(section string, err error) error {
	var errs []error
	for _, e := range leaves(err) {
		errs = append(errs, fmt.Errorf("%s.%w", section, e))
	}
	return errors.Join(errs...)
}

// leaves returns the errors that errors.Join has put together, in their order.
func leaves(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, leaves(e)...)
	}
	return all
}

// splitKey returns the key and the text of a message of Validate, "KEY: TEXT".
func splitKey(message string) (key, text string) {
	key, text, ok := strings.Cut(message, ": ")
	if !ok {
		return "", message
	}
	return key, text
}
