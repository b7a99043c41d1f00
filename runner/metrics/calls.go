package metrics

import (
	"encoding/hex"

	"github.com/prometheus/client_golang/prometheus"

	"fivetuple/correlator"
	"fivetuple/correlator/signal"
)

// namespace begins every name.
const namespace = "fivetuple"

// Calls are the figures of finished calls. It is the consumer of a queue: one goroutine takes.
type Calls struct {
	duration, parts, rtt, requestBytes, responseBytes *prometheus.HistogramVec
	calls, cut, retransmitted, flagged, flags         *prometheus.CounterVec
	series                                            *allSeries
}

// splitParts is how many parts a call's time has.
const splitParts = 5

func partNames() [splitParts]correlator.Part {
	return [...]correlator.Part{
		correlator.PartNetwork, correlator.PartArriving, correlator.PartWaiting, correlator.PartServing, correlator.PartLeaving,
	}
}

// directions are the values of the label direction: toward the gateway, and from it.
func directions() [2]string { return [...]string{"rx", "tx"} }

// NewCalls registers the figures of calls, with at most so many sets of the labels route, service and consumer.
func NewCalls(registry prometheus.Registerer, maxSeries int) *Calls {
	c := &Calls{
		duration: newHistogram("call_duration_seconds",
			"Time from the first packet of a request to the acknowledgement of its response's last byte.", secondBuckets()),
		parts: newHistogram("call_part_duration_seconds",
			"Parts of a call's time, which add up to it.", secondBuckets(), "part"),
		rtt: newHistogram("call_rtt_seconds",
			"Round-trip time to the peer, smoothed, at the end of each call.", secondBuckets()),
		requestBytes: newHistogram("call_request_bytes",
			"IP bytes of a call's request.", byteBuckets()),
		responseBytes: newHistogram("call_response_bytes",
			"IP bytes of a call's response.", byteBuckets()),
		calls: newCounter("calls_total",
			"Finished calls by how their figures were found. Histograms have those that are exchange, and not cut.", "match"),
		cut: newCounter("calls_cut_total",
			"Finished calls whose end was not seen."),
		retransmitted: newCounter("call_retransmitted_packets_total",
			"Segments of calls that were sent again, toward the gateway (rx) and from it (tx).", "direction"),
		flagged: newCounter("calls_flagged_total",
			"Finished calls whose score is above what their route allows."),
		flags: newCounter("call_flags_total",
			"Signals of flagged calls: a call counts once for each of its own.", "signal"),
	}
	registry.MustRegister(c.duration, c.parts, c.rtt, c.requestBytes, c.responseBytes, c.calls, c.cut, c.retransmitted, c.flagged, c.flags)
	c.series = newAllSeries(maxSeries, c.newSeries, c.removeSeries)
	registry.MustRegister(
		counterFunc("call_series_overflow_total", "Calls counted under the label _other, because there are too many routes, services and consumers in use.",
			nil, c.series.beyond.Load),
		counterFunc("call_series_evicted_total", "Sets of the labels route, service and consumer that were removed for new ones. Their counters begin at 0 if they return.",
			nil, c.series.evicted.Load),
		gaugeFunc("call_series", "Sets of the labels route, service and consumer that are told apart.", nil,
			func() float64 { return float64(c.series.sets.Load()) }),
	)
	return c
}

func newHistogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets},
		append(routeLabels(), labels...))
}

func newCounter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, append(routeLabels(), labels...))
}

// secondBuckets reach from a round trip within a rack to a call that somebody has given up on.
func secondBuckets() []float64 {
	return []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
}

// byteBuckets reach from one small packet to an upload.
func byteBuckets() []float64 { return prometheus.ExponentialBuckets(256, 4, 10) }

func (c *Calls) newSeries(of labels) *series {
	route, service, consumer := of[0], of[1], of[2]
	s := &series{
		duration: c.duration.WithLabelValues(route, service, consumer),
		rtt:      c.rtt.WithLabelValues(route, service, consumer),
		bytes: [...]prometheus.Observer{
			c.requestBytes.WithLabelValues(route, service, consumer), c.responseBytes.WithLabelValues(route, service, consumer),
		},
		cut:     c.cut.WithLabelValues(route, service, consumer),
		flagged: c.flagged.WithLabelValues(route, service, consumer),
		flag: func(of signal.Signal) prometheus.Counter {
			return c.flags.WithLabelValues(route, service, consumer, of.String())
		},
	}
	for m := range s.calls {
		s.calls[m] = c.calls.WithLabelValues(route, service, consumer, correlator.Match(m).String())
	}
	for i, direction := range directions() {
		s.retransmitted[i] = c.retransmitted.WithLabelValues(route, service, consumer, direction)
	}
	for i, part := range partNames() {
		s.parts[i] = c.parts.WithLabelValues(route, service, consumer, string(part))
	}
	return s
}

// removeSeries removes what newSeries made.
func (c *Calls) removeSeries(of labels) {
	route, service, consumer := of[0], of[1], of[2]
	for _, v := range []*prometheus.HistogramVec{c.duration, c.rtt, c.requestBytes, c.responseBytes} {
		v.DeleteLabelValues(route, service, consumer)
	}
	for _, v := range []*prometheus.CounterVec{c.cut, c.flagged} {
		v.DeleteLabelValues(route, service, consumer)
	}
	for each := range signal.Signals {
		c.flags.DeleteLabelValues(route, service, consumer, each.String())
	}
	for m := correlator.MatchNone; m <= correlator.MatchExchange; m++ {
		c.calls.DeleteLabelValues(route, service, consumer, m.String())
	}
	for _, direction := range directions() {
		c.retransmitted.DeleteLabelValues(route, service, consumer, direction)
	}
	for _, part := range partNames() {
		c.parts.DeleteLabelValues(route, service, consumer, string(part))
	}
}

// Take implements calls.Consumer. Histograms have only what is one call's alone, and seen to its end.
func (c *Calls) Take(r *correlator.CallRecord) {
	s := c.series.get(r.Route)
	s.calls[r.Match].Inc()
	s.retransmitted[0].Add(float64(r.Request.Retransmitted))
	s.retransmitted[1].Add(float64(r.Response.Retransmitted))
	if r.Cut {
		s.cut.Inc()
	}
	if r.Flagged {
		s.count(r.Facts.Verdict(signal.All).Signals)
	}
	if r.Match != correlator.MatchExchange || r.Cut {
		return
	}
	trace := exemplar(r)
	observe(s.bytes[0], float64(r.Request.Bytes), trace)
	observe(s.bytes[1], float64(r.Response.Bytes), trace)
	if r.RTT.Now != 0 {
		observe(s.rtt, float64(r.RTT.Now)/1e6, trace)
	}
	if r.Split.Total == 0 {
		return
	}
	observe(s.duration, seconds(r.Split.Total), trace)
	for i, ns := range [splitParts]uint64{r.Split.Network, r.Split.Arriving, r.Split.Waiting, r.Split.Serving, r.Split.Leaving} {
		observe(s.parts[i], seconds(ns), trace)
	}
}

// Idle implements calls.Consumer.
func (*Calls) Idle() {}

func seconds(ns uint64) float64 { return float64(ns) / 1e9 }

// exemplar names the call's trace; nil if it has none.
func exemplar(r *correlator.CallRecord) prometheus.Labels {
	if r.TraceID == [16]byte{} {
		return nil
	}
	return prometheus.Labels{"trace_id": hex.EncodeToString(r.TraceID[:])}
}

func observe(to prometheus.Observer, value float64, trace prometheus.Labels) {
	if e, ok := to.(prometheus.ExemplarObserver); ok && trace != nil {
		e.ObserveWithExemplar(value, trace)
		return
	}
	to.Observe(value)
}
