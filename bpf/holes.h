/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Holes: what is missing below a direction's highest sequence. They tell a segment that arrives late (it fills one)
 * from one that is sent again. Few connections have any at a time, so they lie in a table of their own; a connection
 * without one never looks there. The caller holds the connection's lock.
 */
#ifndef FIVETUPLE_HOLES_H
#define FIVETUPLE_HOLES_H

#include "maps.h"
#include "parse.h"

/* A hole further than this below the highest can't be filled: no window is larger (RFC 7323, 2.3). */
#define FARTHEST_HOLE (1u << 30)

static const volatile struct holes no_holes = {};

/* Sequence numbers compare modulo 2^32 (RFC 9293, 3.4). */
static __always_inline int before(__u32 a, __u32 b)
{
	return (__s32)(a - b) < 0;
}

static __always_inline __u32 sequence_length(const struct packet *p)
{
	return p->payload + !!(p->flags & TCP_SYN) + !!(p->flags & TCP_FIN);
}

struct hole_walk {
	struct holes *holes;
	__u32 start; /* of the segment, or of the hole to be stored */
	__u32 end;
	__u32 segment_max; /* payload bytes of a full segment */
	__u32 segments;
	__u32 count;  /* holes left; when storing, 1 once it is done */
	__u32 split;  /* 1: the segment lies in the middle of a hole, and [start, end) is what remains right of it */
	__u64 filled; /* a bit for each of the packet's segments that fills something */
};

static __always_inline struct flow_key holes_key(const struct flow_key *connection, int dir)
{
	struct flow_key key = *connection;
	key.pad[0] = dir;
	return key;
}

/* Which of a packet's segments has a byte: the last one also has the FIN, and the 64th all that come behind it. */
static __always_inline __u32 segment_of(__u32 byte, const struct hole_walk *w)
{
	__u32 last = w->segments > 64 ? 63 : w->segments - 1;
	__u32 n = w->segments > 1 ? byte / w->segment_max : 0;
	return n > last ? last : n;
}

/* Bits of the packet's segments from the one with its byte FIRST to the one with LAST. */
static __always_inline __u64 segment_bits(__u32 first, __u32 last, const struct hole_walk *w)
{
	return (~0ULL << (segment_of(first, w) & 63)) & (~0ULL >> (63 - segment_of(last, w) & 63));
}

static long fill_hole(__u32 round, struct hole_walk *w)
{
	struct hole *hole = &w->holes->at[round & (HOLES - 1)];
	__u32 start = hole->start, end = hole->end;
	__u32 from = before(start, w->start) ? w->start : start;
	__u32 to = before(end, w->end) ? end : w->end;

	if (start == end || !before(from, to))
		return GO_ON;
	w->filled |= segment_bits(from - w->start, to - 1 - w->start, w);
	if (from == start && to == end) {
		hole->end = start;
		w->count--;
	} else if (from == start) {
		hole->start = to;
	} else {
		hole->end = from;
		w->split = to != end;
		if (w->split) {
			w->start = to;
			w->end = end;
			return STOP;
		}
	}
	return GO_ON;
}

static long store_hole(__u32 round, struct hole_walk *w)
{
	struct hole *hole = &w->holes->at[round & (HOLES - 1)];
	if (hole->start != hole->end)
		return GO_ON;
	*hole = (struct hole){w->start, w->end};
	w->count = 1;
	return STOP;
}

/* END is the highest sequence here. */
static long drop_far_hole(__u32 round, struct hole_walk *w)
{
	struct hole *hole = &w->holes->at[round & (HOLES - 1)];
	if (hole->start != hole->end && w->end - hole->start > FARTHEST_HOLE) {
		hole->end = hole->start;
		w->count--;
	}
	return GO_ON;
}

static __always_inline void forget_hole(struct direction *d)
{
	if (d->holes_forgotten < 0xffff)
		d->holes_forgotten++;
}

/* Stores the hole [START, END). The walk is the caller's, whose stack has no room for a second one. */
static __always_inline void add_hole(struct direction *d, struct hole_walk *w, __u32 start, __u32 end)
{
	w->start = start;
	w->end = end;
	w->count = 0;
	bpf_loop(HOLES, store_hole, w, 0);
	if (w->count)
		d->holes++;
	else
		forget_hole(d);
}

/* Removes the entry of a direction without holes. */
static __always_inline void remove_holes(struct direction *d, const struct flow_key *key)
{
	d->holes = 0;
	if (!bpf_map_delete_elem(&holes, key))
		COUNT_TABLE(TABLE_HOLES, removed);
}

/* A segment came that starts above the highest sequence: what lies between is missing. */
static __always_inline void open_hole(struct direction *d, const struct packet *p, int dir)
{
	struct flow_key key = holes_key(&p->key, dir);
	struct hole_walk w = {};

	w.holes = d->holes ? bpf_map_lookup_elem(&holes, &key) : 0;
	if (!w.holes) {
		d->holes = 0;
		if (bpf_map_update_elem(&holes, &key, (void *)&no_holes, BPF_ANY)) {
			COUNT_TABLE(TABLE_HOLES, refused);
			forget_hole(d);
			return;
		}
		COUNT_TABLE(TABLE_HOLES, inserted);
		w.holes = bpf_map_lookup_elem(&holes, &key);
	}
	if (w.holes)
		add_hole(d, &w, d->seq_high, p->seq);
}

/* How many of a packet's segments fill a hole that ends before END. */
static __always_inline __u32 fill_holes(struct direction *d, const struct packet *p, __u32 end, int dir)
{
	struct flow_key key = holes_key(&p->key, dir);
	struct hole_walk w = {
	    .start = p->seq,
	    .end = end,
	    .segment_max = p->segment_max,
	    .segments = p->segments,
	    .count = d->holes,
	};

	w.holes = bpf_map_lookup_elem(&holes, &key);
	if (!w.holes)
		return 0;
	bpf_loop(HOLES, fill_hole, &w, 0);
	d->holes = w.count;
	if (w.split)
		add_hole(d, &w, w.start, w.end);
	if (!d->holes)
		remove_holes(d, &key);
	return __builtin_popcountll(w.filled);
}

/* How many of the segments start below the highest sequence: a merged packet that overlaps it is split there. */
static __always_inline __u32 segments_below(const struct packet *p, __u32 high)
{
	__u32 old = high - p->seq;
	if (old >= p->payload || p->segments == 1)
		return p->segments;
	return (old + p->segment_max - 1) / p->segment_max;
}

static __always_inline void take_old_segments(struct direction *d, const struct packet *p, int dir, int tracked)
{
	__u32 old = segments_below(p, d->seq_high), end = p->seq + sequence_length(p), fill = 0;

	if (before(d->seq_high, end))
		end = d->seq_high;
	if (tracked && d->holes)
		fill = fill_holes(d, p, end, dir);
	d->out_of_order += fill;
	d->retransmitted += old - fill;
}

/*
 * What is rare are functions of their own that the verifier looks at alone: hence the checks of pointers that are never
 * 0, and results that nobody reads.
 */

/*
 * Takes a packet that does not start at the highest sequence; 1 if it starts below. TRACKED: holes are remembered, as
 * in the flow table.
 */
__noinline int take_disorder(struct direction *d, const struct packet *p, int dir, int tracked)
{
	if (!d || !p)
		return 0;
	if (before(p->seq, d->seq_high)) {
		take_old_segments(d, p, dir, tracked);
		return 1;
	}
	if (!before(d->seq_high, p->seq + sequence_length(p)))
		return 0; /* it ends half the sequence space away: neither above nor below */
	if (tracked)
		open_hole(d, p, dir);
	else
		forget_hole(d);
	return 0;
}

/* Forgets all holes of a direction: its sequence starts anew, or its connection goes. */
__noinline int drop_holes(struct direction *d, const struct flow_key *connection, int dir)
{
	if (!d || !connection)
		return 0;
	struct flow_key key = holes_key(connection, dir);
	remove_holes(d, &key);
	return 0;
}

/* The highest sequence has passed a quarter of the sequence space: holes too far below could soon be taken for others.
 */
__noinline int drop_far_holes(struct direction *d, const struct flow_key *connection, int dir)
{
	if (!d || !connection)
		return 0;
	struct flow_key key = holes_key(connection, dir);
	struct hole_walk w = {.end = d->seq_high, .count = d->holes};

	w.holes = bpf_map_lookup_elem(&holes, &key);
	if (!w.holes)
		return 0;
	bpf_loop(HOLES, drop_far_hole, &w, 0);
	d->holes = w.count;
	if (!d->holes)
		remove_holes(d, &key);
	return 0;
}

#endif
