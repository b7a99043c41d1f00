package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"fivetuple/bpf"
	"fivetuple/correlator/flow"
)

// tables are the kernel's, read at each scrape.
type tables struct {
	read func() (bpf.Counts, error)
	now  func() uint64

	readable, heartbeat, interfaces, packets               *prometheus.Desc
	entries, capacity, inserted, refused, removed, evicted *prometheus.Desc
}

// RegisterTables registers what the kernel's tables count; now is CLOCK_MONOTONIC nanoseconds. Where they cannot be read,
// only fivetuple_tables_readable is there, and is 0.
func RegisterTables(registry prometheus.Registerer, read func() (bpf.Counts, error), now func() uint64) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	registry.MustRegister(&tables{
		read: read, now: now,
		readable:  desc("tables_readable", "Whether the kernel's tables can be read: 1 or 0."),
		heartbeat: desc("agent_heartbeat_age_seconds", "Time since the agent's last heartbeat."),
		interfaces: desc("agent_interfaces",
			"Interfaces that carry the kernel program, by kind: loopback, or other. Without another one no call of another host is seen.", "kind"),
		packets: desc("packets_total",
			"Packets toward this host (rx) and from it (tx) by the reason by which they left the kernel program.", "direction", "reason"),
		entries:  desc("table_entries", "Entries of a table, at the agent's last sweep.", "table"),
		capacity: desc("table_capacity_entries", "Entries that a table can hold.", "table"),
		inserted: desc("table_inserted_total", "Entries that came.", "table"),
		refused:  desc("table_refused_total", "Entries that were refused for want of room.", "table"),
		removed:  desc("table_removed_total", "Entries that were removed.", "table"),
		evicted:  desc("table_evicted_total", "Entries that made room for others, until the agent's last sweep.", "table"),
	})
}

// Describe implements prometheus.Collector.
func (t *tables) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		t.readable, t.heartbeat, t.interfaces, t.packets, t.entries, t.capacity, t.inserted, t.refused, t.removed, t.evicted,
	} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (t *tables) Collect(to chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	c, err := t.read()
	if err != nil {
		gauge(t.readable, 0)
		return
	}
	gauge(t.readable, 1)
	gauge(t.heartbeat, seconds(t.now()-min(c.Meta.Heartbeat, t.now())))
	gauge(t.interfaces, float64(c.Meta.Loopback), "loopback")
	gauge(t.interfaces, float64(c.Meta.Interfaces-c.Meta.Loopback), "other")
	for dir, reasons := range c.Reasons {
		for reason, n := range reasons {
			counter(t.packets, n, directions()[dir], bpf.Reason(reason).String())
		}
	}
	for table := range flow.Tables {
		name := flow.TableName(table)
		gauge(t.entries, float64(c.Meta.Entries[table]), name)
		gauge(t.capacity, float64(c.Meta.Capacity[table]), name)
		counter(t.inserted, c.Tables[table].Inserted, name)
		counter(t.refused, c.Tables[table].Refused, name)
		counter(t.removed, c.Tables[table].Removed, name)
		counter(t.evicted, c.Meta.Evicted[table], name)
	}
}
