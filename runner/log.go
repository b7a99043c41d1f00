package main

import (
	"bytes"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"fivetuple/conf"
	"fivetuple/runner/printable"
)

const (
	// logLines is how many log lines wait for standard error; more are lost and counted.
	logLines = 1024
	// logCloseTime is how long the last log lines may take: APISIX kills its runner a second after SIGTERM.
	logCloseTime = 100 * time.Millisecond
)

// serviceLog is the log of a process that stays up.
type serviceLog struct {
	zerolog.Logger
	lines *lineQueue
}

// openLog returns a log as the settings say, until close; the level was checked when they were loaded.
func openLog(w io.Writer, o conf.Log) serviceLog {
	if o.Format == conf.FormatConsole {
		w = zerolog.ConsoleWriter{Out: printable.NewTextWriter(w), NoColor: true, FormatMessage: consoleMessage}
	} else {
		w = printable.NewJSONWriter(w)
	}
	level, err := zerolog.ParseLevel(o.Level)
	if err != nil {
		level = zerolog.InfoLevel
	}
	lines := newLineQueue(w)
	return serviceLog{zerolog.New(lines).Level(level).With().Timestamp().Logger(), lines}
}

// consoleMessage keeps a message on its line: the library quotes the values of fields, and writes a message as it is.
func consoleMessage(message any) string {
	if message == nil {
		return ""
	}
	return printable.String(fmt.Sprint(message))
}

// close writes the lines that wait, for logCloseTime at most.
func (l serviceLog) close() { l.lines.close() }

// lineQueue writes log lines on a goroutine of its own, so that no caller waits: the reader of standard error may be slow, may have
// stopped (a container engine, a terminal), or may be gone. A line without room in the queue, or that cannot be written, is lost and
// counted.
type lineQueue struct {
	to      io.Writer
	waiting chan []byte
	lost    atomic.Uint64
	noted   uint64 // lost lines that a line of the log has reported
	stop    chan struct{}
	ended   chan struct{}
}

func newLineQueue(to io.Writer) *lineQueue {
	q := &lineQueue{to: to, waiting: make(chan []byte, logLines), stop: make(chan struct{}), ended: make(chan struct{})}
	go q.run()
	return q
}

// Write takes a line, and never fails.
func (q *lineQueue) Write(line []byte) (int, error) {
	select {
	case q.waiting <- bytes.Clone(line):
	default:
		q.lost.Add(1)
	}
	return len(line), nil
}

func (q *lineQueue) run() {
	defer close(q.ended)
	for {
		select {
		case line := <-q.waiting:
			q.pass(line)
		case <-q.stop:
			for {
				select {
				case line := <-q.waiting:
					q.pass(line)
				default:
					return
				}
			}
		}
	}
}

// pass writes a line, and behind it one that reports lost lines, if there are new ones.
func (q *lineQueue) pass(line []byte) {
	if _, err := q.to.Write(line); err != nil {
		q.lost.Add(1)
		return
	}
	lost := q.lost.Load()
	if lost == q.noted {
		return
	}
	_, err := fmt.Fprintf(q.to, `{"level":"warn","lines":%d,"time":%q,"message":"log lines were lost: nobody read standard error"}`+"\n",
		lost-q.noted, time.Now().Format(time.RFC3339))
	if err == nil {
		q.noted = lost
	}
}

// close ends the queue. If the writer does not return in time, its goroutine ends with the process.
func (q *lineQueue) close() {
	close(q.stop)
	select {
	case <-q.ended:
	case <-time.After(logCloseTime):
	}
}
