package calls

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/correlator"
	"fivetuple/runner/printable"
)

// Options are what a log is opened with.
type Options struct {
	File                   string
	Sample                 float64 // share of the connections, 0 to 1
	Queue                  int     // records that wait
	Path                   string  // PathOff, PathHash or PathFull
	IPv4Prefix, IPv6Prefix int     // leading bits of addresses that are written
	RotateBytes            int64   // size of a file
	RotateKeep             int     // old files
	RotateDays             int     // their age
	Monotonic              func() uint64
	Now                    func() time.Time
	Log                    zerolog.Logger // for what goes wrong
}

// Log writes the records of calls into a file, one JSON object a line. What cannot be written is dropped and counted.
type Log struct {
	options   Options
	sample    sampler
	addresses cutter
	queue     *Queue
	wall      wall
	file      *file
	line      zerolog.Logger // into batch
	batch     bytes.Buffer   // whole lines
	lines     uint64         // in batch
	torn      bool           // the file ends in the middle of a line
	failing   bool

	written, failed, notSampled atomic.Uint64
}

// maxBatch is how many bytes of lines are collected, at most, before they are written.
const maxBatch = 64 << 10

// Open starts a log.
func Open(o Options) (*Log, error) {
	f, err := openFile(&o)
	if err != nil {
		return nil, fmt.Errorf("open log of calls: %w", err)
	}
	l := &Log{
		options: o, sample: newSampler(o.Sample), addresses: cutter{o.IPv4Prefix, o.IPv6Prefix}, file: f,
		wall: wall{monotonic: o.Monotonic, now: o.Now}, torn: f.endsTorn(),
	}
	l.line = zerolog.New(printable.NewJSONWriter(&l.batch))
	l.queue = NewQueue(o.Queue, (*writer)(l))
	return l, nil
}

// Put is a correlator.Sink: the record is written later.
func (l *Log) Put(r *correlator.CallRecord) {
	if !l.sample.picks(r) {
		l.notSampled.Add(1)
		return
	}
	l.queue.Put(r)
}

// Close writes what waits, until the context ends, and returns how many records were lost. Nobody may put any more.
func (l *Log) Close(ctx context.Context) (lost int) { return l.queue.Close(ctx) }

// LogCounts are what became of records.
type LogCounts struct {
	Written    uint64
	NotSampled uint64
	Failed     uint64 // could not be written
	Dropped    uint64 // the queue was full
	Waiting    int    // in the queue now
}

// Counts returns what was counted since the log was opened.
func (l *Log) Counts() LogCounts {
	return LogCounts{l.written.Load(), l.notSampled.Load(), l.failed.Load(), l.queue.Dropped(), l.queue.Waiting()}
}

// writer is the side of the log that the queue's goroutine has.
type writer Log

// Take implements Consumer.
func (w *writer) Take(r *correlator.CallRecord) {
	l := (*Log)(w)
	l.writeLine(r)
	l.lines++
	if l.batch.Len() >= maxBatch {
		l.flush()
	}
}

// Idle implements Consumer.
func (w *writer) Idle() { (*Log)(w).flush() }

// flush writes the batch. When it fails, its lines are lost: more come all the time.
func (l *Log) flush() {
	if l.lines == 0 {
		return
	}
	lines := l.batch.Bytes()
	var whole uint64
	if l.torn { // the damage stays in one line
		lines = append([]byte{'\n'}, lines...)
	}
	n, err := l.file.Write(lines)
	if n > 0 {
		whole = uint64(bytes.Count(lines[:n], []byte{'\n'}))
		if l.torn {
			whole--
		}
		l.torn = lines[n-1] != '\n'
	}
	l.written.Add(whole)
	l.failed.Add(l.lines - whole)
	switch {
	case err != nil && !l.failing:
		l.options.Log.Error().Err(err).Str("file", l.options.File).Msg("calls cannot be written, and are counted as failed until they can")
	case err == nil && l.failing:
		l.options.Log.Info().Str("file", l.options.File).Msg("calls can be written again")
	}
	l.failing = err != nil
	l.batch.Reset()
	l.lines = 0
}

var (
	_ correlator.Sink = (*Log)(nil).Put
	_ Consumer        = (*writer)(nil)
)
