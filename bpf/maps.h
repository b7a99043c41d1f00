/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* All maps. The agent sets the capacities when it loads the program; only this program and the agent write. */
#ifndef FIVETUPLE_MAPS_H
#define FIVETUPLE_MAPS_H

#include "record.h"

/*
 * TCP connections that have completed their handshake, or were found established. A HASH, not an LRU: a full LRU takes
 * entries from live connections and hands a reader's entry to a stranger. When full, new ones are refused (TABLE_FULL).
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct flow_key);
	__type(value, struct flow_record);
} flows SEC(".maps");

/* TCP connections in their handshake. When full, the least recently used goes: a SYN flood evicts only its like. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct flow_key);
	__type(value, struct handshake);
} half_open SEC(".maps");

/* UDP flows, apart so that they never crowd out a connection. When full, the least recently used goes. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct flow_key);
	__type(value, struct conn);
} udp SEC(".maps");

/*
 * Holes of connections' directions that have one: the key is the connection's, with the direction in pad[0]. A HASH,
 * written under the connection's lock only, so that no entry is taken from under its writer. When full, further holes
 * are forgotten, and counted in the record.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct flow_key);
	__type(value, struct holes);
} holes SEC(".maps");

/* Remote addresses, IPv4 v4-mapped. When full, the least recently used goes. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u8[16]);
	__type(value, struct source);
} sources SEC(".maps");

/*
 * What is held against sources and listeners. Written by the agent, and by whoever may write the pin; the program does
 * not read it. A HASH: nobody's verdict makes room for another.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct verdict_key);
	__type(value, struct verdict);
} verdicts SEC(".maps");

/* What happened to the tables, by enum table. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TABLES);
	__type(key, __u32);
	__type(value, struct table_counts);
} counts SEC(".maps");

/* Packets by direction and reason: index direction * REASONS + reason. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DIRECTIONS *REASONS);
	__type(key, __u32);
	__type(value, __u64);
} reasons SEC(".maps");

/* One entry, written by the agent: layout, capacities, heartbeat. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct meta);
} meta SEC(".maps");

/* Counts by the CPU that runs the program, which runs one at a time: bottom halves are off. */
#define COUNT_TABLE(table, what)                                                \
	do {                                                                    \
		__u32 which = table;                                            \
		struct table_counts *of = bpf_map_lookup_elem(&counts, &which); \
		if (of)                                                         \
			of->what++;                                             \
	} while (0)

#endif
