package flow

// Tables is how many tables the kernel program keeps, in the order of Meta's arrays: enum table in bpf/record.h.
const (
	TableFlows = iota
	TableHalfOpen
	TableUDP
	TableSources
	TableHoles
	Tables
)

// TableName returns a table's name, as pins and metrics have it.
func TableName(table int) string {
	return [Tables]string{"flows", "half_open", "udp", "sources", "holes"}[table]
}

// Meta is what a reader has to know before it uses the tables: struct meta in bpf/record.h.
type Meta struct {
	Layout     uint64
	Heartbeat  uint64
	Swept      uint64
	Evicted    [Tables]uint64
	Entries    [Tables]uint32
	Capacity   [Tables]uint32
	Interfaces uint32 // that carry the program, as the agent last saw them, the loopback included
	Loopback   uint32 // 1: the loopback is one of them
}

// Blind reports whether the agent sees no packet of another host: no interface but the loopback carries its program.
func (m *Meta) Blind() bool { return m.Interfaces <= m.Loopback }

// TableCounts is what happened to a table: struct table_counts in bpf/record.h.
type TableCounts struct {
	Inserted uint64
	Refused  uint64 // for want of room
	Removed  uint64
}

// Evicted returns how many entries made room for others, if so many are there now.
func (c TableCounts) Evicted(entries uint64) uint64 {
	if gone := c.Inserted - c.Removed; gone > entries {
		return gone - entries
	}
	return 0
}

// Hole is what is missing below a direction's highest sequence: [Start, End), nothing if the two are equal.
type Hole struct{ Start, End uint32 }

// HolesPerDirection is how many are remembered of one direction.
const HolesPerDirection = 64

// Holes are those of one direction, in no order: struct holes in bpf/record.h.
type Holes struct{ At [HolesPerDirection]Hole }
