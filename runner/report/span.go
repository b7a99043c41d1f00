package report

import (
	"errors"
	"fmt"
	"time"
)

// Bucket is a time that figures are kept of as one, by the wall clock, in seconds.
type Bucket struct {
	Step  int64 // its length: StepFine or StepHour
	Start int64 // since 1970, a multiple of Step
}

// The lengths of buckets, in seconds. A call is counted in one of both.
const (
	StepFine int64 = 300
	StepHour int64 = 3600
)

// How many buckets of each length are kept: those of an hour and of a day, and the open one.
const (
	KeepFine int64 = 13
	KeepHour int64 = 25
)

// The least and the most that a report goes back.
const (
	MinSince = time.Minute
	MaxSince = 24 * time.Hour
)

var errSince = errors.New("not a time that a report goes back")

// CheckSince says what is wrong with how far a report is to go back.
func CheckSince(since time.Duration) error {
	if since < MinSince || since > MaxSince {
		return fmt.Errorf("%w: %v is not in %v..%v", errSince, since, MinSince, MaxSince)
	}
	return nil
}

// Buckets returns the buckets of a report that goes so far back, the oldest first: the one in which it begins is whole. Up to an hour
// they are fine ones.
func Buckets(now time.Time, since time.Duration) []Bucket {
	step := StepFine
	if since > time.Hour {
		step = StepHour
	}
	last := startOf(now.Unix(), step)
	var all []Bucket
	for start := startOf(now.Add(-since).Unix(), step); start <= last; start += step {
		all = append(all, Bucket{Step: step, Start: start})
	}
	return all
}

// startOf returns the start of the bucket that has a moment.
func startOf(unix, step int64) int64 { return unix - unix%step }
