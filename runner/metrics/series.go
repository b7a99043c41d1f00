package metrics

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fivetuple/correlator"
	"fivetuple/correlator/signal"
	"fivetuple/runner/printable"
)

// otherLabel stands for all routes, services and consumers beyond the bound.
const otherLabel = "_other"

func routeLabels() []string { return []string{"route", "service", "consumer"} }

// series are the figures of one set of labels, found once.
type series struct {
	calls         [correlator.MatchExchange + 1]prometheus.Counter
	cut, flagged  prometheus.Counter
	flags         [signal.Signals]prometheus.Counter // made when they are wanted
	flag          func(signal.Signal) prometheus.Counter
	retransmitted [2]prometheus.Counter // request, response
	duration      prometheus.Observer
	parts         [splitParts]prometheus.Observer
	rtt           prometheus.Observer
	bytes         [2]prometheus.Observer // request, response

	taken int       // calls, up to provenCalls
	last  time.Time // of the last call
}

// count counts a flagged call, and what it was flagged for.
func (s *series) count(signals signal.Set) {
	s.flagged.Inc()
	for each := range signals.Each {
		if s.flags[each] == nil {
			s.flags[each] = s.flag(each)
		}
		s.flags[each].Inc()
	}
}

// maxLabel is the longest label, in bytes.
const maxLabel = 128

// label returns a name as a label has it: without control characters, which the text format would pass on to whoever reads it, and
// in UTF-8, which the library requires.
func label(name string) string {
	if name = printable.String(name); len(name) > maxLabel {
		name = strings.ToValidUTF8(name[:maxLabel], "") // without the part of a character
	}
	return name
}
