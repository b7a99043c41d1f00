package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"fivetuple/correlator"
	"fivetuple/plugins"
	"fivetuple/runner/calls"
	"fivetuple/runner/server"
)

func counterFunc(name, help string, labels prometheus.Labels, count func() uint64) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: labels},
		func() float64 { return float64(count()) })
}

func gaugeFunc(name, help string, labels prometheus.Labels, value func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: labels}, value)
}

// RegisterBuild registers what this program is.
func RegisterBuild(registry prometheus.Registerer, version, layout string) {
	registry.MustRegister(gaugeFunc("build_info", "Version of this program and its tables' layout; always 1.",
		prometheus.Labels{"version": version, "layout": layout}, func() float64 { return 1 }))
}

// RegisterServer registers what the protocol server counts.
func RegisterServer(registry prometheus.Registerer, s *server.Stats) {
	for _, c := range []struct {
		name, help string
		count      func() uint64
	}{
		{"server_connections_accepted_total", "The gateway's connections that were accepted.", s.Accepted.Load},
		{"server_connections_refused_total", "Connections that were closed as they came, because their user holds most of too many.", s.Refused.Load},
		{"server_connections_evicted_total", "Connections that were closed because a bound was reached: those of the user that held most, idle for longest.", s.Evicted.Load},
		{"server_connections_foreign_total", "Connections of users that runner.peer_uids lacks, which were closed.", s.Foreign.Load},
		{"server_entries_left_out_total", "Headers and arguments of calls that were not read, because a frame had more than 1,000.", s.EntriesLeftOut.Load},
		{"server_accept_errors_total", "Failures to accept a connection.", s.AcceptErrors.Load},
		{"server_io_errors_total", "The gateway's connections that ended with an error.", s.IOErrors.Load},
		{"server_configurations_prepared_total", "Configurations of routes that the gateway had prepared.", s.Prepared.Load},
		{"server_configuration_errors_total", "Configurations that had something wrong.", s.ConfigErrors.Load},
		{"server_configuration_error_calls_total", "Calls of a route and phase whose configuration had something wrong.", s.ConfigErrorCalls.Load},
		{"server_configuration_unknown_keys_total", "Configurations whose key has no known form.", s.UnknownKeys.Load},
		{"server_calls_total", "Calls under a token that holds.", s.Calls.Load},
		{"server_calls_lost_total", "Calls that were under way when the server was closed.", s.Lost.Load},
		{"server_tokens_not_found_total", "Calls under a token that does not hold: the gateway prepares anew.", s.TokensNotFound.Load},
		{"server_tokens_evicted_total", "Tokens that were forgotten, as the one used longest ago or as not used for hours: the gateway prepares their configurations anew.", s.TokensEvicted.Load},
		{"server_panics_total", "Panics of plugins, each of which cost one call its plugins.", s.Panics.Load},
		{"server_frames_malformed_total", "Frames that were malformed, each of which ended its connection.", s.Malformed.Load},
		{"server_answers_too_long_total", "Answers that did not fit into a frame.", s.TooLong.Load},
	} {
		registry.MustRegister(counterFunc(c.name, c.help, nil, c.count))
	}
}

// RegisterPlugins registers what the plugins count.
func RegisterPlugins(registry prometheus.Registerer, c *plugins.Counters) {
	for m := correlator.MatchNone; m <= correlator.MatchExchange; m++ {
		registry.MustRegister(counterFunc("plugin_calls_total", "Calls on which packet-insight ran, by the match that it found.",
			prometheus.Labels{"match": m.String()}, func() uint64 { return c.Matches(m) }))
	}
	for way, count := range map[string]func() uint64{
		correlator.TupleHeader: c.TupleHeader.Load, correlator.TupleMapVariable: c.TupleMapVariable.Load,
		correlator.TupleVariables: c.TupleVariables.Load, "none": c.TupleNone.Load,
	} {
		registry.MustRegister(counterFunc("plugin_tuples_total", "Calls by the way that their 5-tuple came.",
			prometheus.Labels{"source": way}, count))
	}
	for way, count := range map[string]func() uint64{
		correlator.TupleHeader: c.WrongHeader.Load, correlator.TupleMapVariable: c.WrongMapVariable.Load,
		correlator.TupleVariables: c.WrongVariables.Load,
	} {
		registry.MustRegister(counterFunc("plugin_tuples_wrong_total", "Values that are no 5-tuple, by the way that they came.",
			prometheus.Labels{"source": way}, count))
	}
	registry.MustRegister(
		newGuard(c),
		counterFunc("plugin_variable_errors_total", "Questions for variables that the gateway did not answer.", nil, c.VariableErrors.Load),
		counterFunc("plugin_configuration_errors_total", "Wrong configurations, each time that one was prepared.", nil, c.ConfErrors.Load),
		counterFunc("plugin_configuration_error_calls_total", "Calls under a wrong configuration.", nil, c.ConfErrorCalls.Load),
	)
}

// RegisterCorrelator registers what the correlator counts.
func RegisterCorrelator(registry prometheus.Registerer, counters func() correlator.Counters) {
	for _, c := range []struct {
		name, help string
		count      func(correlator.Counters) uint64
	}{
		{"call_records_total", "Records of finished calls.", func(c correlator.Counters) uint64 { return c.Finished }},
		{"call_records_cut_total", "Records of calls whose end was not seen.", func(c correlator.Counters) uint64 { return c.Cut }},
		{
			"call_records_crowded_total", "Calls without a record, because too many shared their exchanges.",
			func(c correlator.Counters) uint64 { return c.Crowded },
		},
		{
			"call_late_bytes_total", "Payload that came after its call's record was closed as silent, and is in none.",
			func(c correlator.Counters) uint64 { return c.LateBytes },
		},
	} {
		registry.MustRegister(counterFunc(c.name, c.help, nil, func() uint64 { return c.count(counters()) }))
	}
}

// RegisterQueue registers what a queue between the calls and a consumer, named by the label, lost.
func RegisterQueue(registry prometheus.Registerer, consumer string, dropped func() uint64, waiting func() int) {
	labels := prometheus.Labels{"queue": consumer}
	registry.MustRegister(
		counterFunc("queue_dropped_total", "Records of calls that were lost, because the queue was full.", labels, dropped),
		gaugeFunc("queue_records", "Records of calls that wait in the queue.", labels, func() float64 { return float64(waiting()) }),
	)
}

// RegisterFlags registers how many flagged calls had no line, because there were too many.
func RegisterFlags(registry prometheus.Registerer, notWritten func() uint64) {
	registry.MustRegister(counterFunc("flag_lines_not_written_total",
		"Flagged calls without a line of their own in the runner's log, because there were too many at once.", nil, notWritten))
}

// RegisterEvents registers how many lines of the runner's own log were lost.
func RegisterEvents(registry prometheus.Registerer, lost func() uint64) {
	registry.MustRegister(counterFunc("event_lines_lost_total",
		"Lines of the runner's own log that were lost, because nobody read standard error.", nil, lost))
}

// RegisterLog registers what became of records in the log of calls.
func RegisterLog(registry prometheus.Registerer, counts func() calls.LogCounts) {
	RegisterQueue(registry, "log", func() uint64 { return counts().Dropped }, func() int { return counts().Waiting })
	registry.MustRegister(
		counterFunc("log_lines_written_total", "Lines of the log of calls.", nil, func() uint64 { return counts().Written }),
		counterFunc("log_lines_failed_total", "Lines of the log of calls that could not be written.", nil, func() uint64 { return counts().Failed }),
		counterFunc("log_calls_not_sampled_total", "Calls that are not in the sample of the log.", nil, func() uint64 { return counts().NotSampled }),
	)
}
