/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Exchanges: a run of rx payload and the tx payload that answers it. A new one starts with the first rx segment that
 * brings payload above the highest rx sequence after tx payload that did the same; old data and keep-alives never turn.
 * Exchange 0 is everything before the first rx payload. The caller holds the record's lock.
 */
#ifndef FIVETUPLE_EXCHANGE_H
#define FIVETUPLE_EXCHANGE_H

#include "count.h"

/* Running figures of one direction before a segment was counted. */
struct running {
	__u64 payload;
	__u32 packets;
	__u32 headers;
};

static __always_inline struct running running(const struct direction *d)
{
	return (struct running){d->payload, d->data_packets, d->data_headers};
}

/*
 * Without CAP_PERFMON the verifier allows an instruction to add an index in one way only (CVE-2019-7308): so there is
 * one place that does, and the number is read again there, so that the compiler does not make a path of each value it
 * knows.
 */
static __always_inline struct exchange *current_exchange(struct flow_record *r)
{
	__u32 number = *(volatile __u32 *)&r->exchange;
	return &r->ring[number & (EXCHANGES - 1)];
}

/* Fills a new exchange with the flow's running figures: RX ones from before the segment that starts it. */
static __always_inline void start_exchange(struct exchange *e, const struct running *rx, __u32 rx_start,
					   const struct direction *tx)
{
	__builtin_memset(e, 0, sizeof(*e));
	e->payload[RX] = rx->payload;
	e->packets[RX] = rx->packets;
	e->headers[RX] = rx->headers;
	e->seq[RX] = rx_start;
	e->payload[TX] = tx->payload;
	e->packets[TX] = tx->data_packets;
	e->headers[TX] = tx->data_headers;
	e->seq[TX] = tx->data_high;
}

/*
 * A direction's sequence became known, and starts at START: so do the exchanges that are there, which are 0 and, if the
 * peer's payload came first, 1.
 */
static __always_inline void start_sequence(struct flow_record *r, int dir, __u32 start)
{
	if (r->exchange > 1)
		return;
	r->ring[0].seq[dir] = start;
	if (r->exchange)
		r->ring[1].seq[dir] = start;
}

#define STAMP_SHIFT 4
#define STAMP_MASK ((1ULL << 48) - 1)

static __always_inline void set_stamp(struct stamp *s, __u64 now)
{
	__u64 value = now >> STAMP_SHIFT & STAMP_MASK ?: 1;
	s->part[0] = value;
	s->part[1] = value >> 16;
	s->part[2] = value >> 32;
}

/* 0: none. */
static __always_inline __u64 stamp_value(const struct stamp *s)
{
	return s->part[0] | (__u64)s->part[1] << 16 | (__u64)s->part[2] << 32;
}

/* Microseconds from a stamp to now; 0 if it lies behind. */
static __always_inline __u64 since_stamp(__u64 stamp, __u64 now)
{
	__u64 passed = ((now >> STAMP_SHIFT) - stamp) & STAMP_MASK;
	return passed >> 47 ? 0 : (passed << STAMP_SHIFT) / 1000;
}

static __always_inline __u16 at_most_u16(__u32 n)
{
	return n > 0xffff ? 0xffff : n;
}

static __always_inline void take_rx_segment(struct exchange *e, const struct packet *p)
{
	__u32 largest = p->headers + p->segment_max;
	__u32 smallest = p->headers + p->payload - (p->segments - 1) * p->segment_max;
	__u64 last = stamp_value(&e->last[RX]);
	if (last) {
		__u64 gap = since_stamp(last, p->now);
		if (gap > e->rx_gap_us)
			e->rx_gap_us = gap > 0xffffffff ? 0xffffffff : gap;
	}
	if (!e->rx_min || smallest < e->rx_min)
		e->rx_min = at_most_u16(smallest);
	if (largest > e->rx_max)
		e->rx_max = at_most_u16(largest);
}

/* A time-out is at least half of Linux's shortest (TCP_RTO_MIN); a probe for a late answer comes sooner (RFC 8985, 7).
 */
#define TIME_OUT_US 100000

/*
 * What a time-out took: the time from the exchange's last payload of the direction, a stamp, to such that is sent
 * again. A function of its own, as what is rare is: hence the check, and a result that nobody reads.
 */
__noinline int take_wait(struct direction *d, __u64 last, __u64 now)
{
	__u64 waited = since_stamp(last, now);
	if (d && waited >= TIME_OUT_US)
		d->waited += waited / 1000;
	return 0;
}

/* Takes a segment with payload; BEFORE are the direction's figures without it. */
static __always_inline void take_exchange(struct flow_record *r, const struct packet *p, int dir,
					  const struct news *news, const struct running *before)
{
	int starts = dir == RX && news->payload && (r->answered || !r->exchange);

	if (starts) {
		r->exchange++;
		r->answered = 0;
	} else if (dir == TX && news->payload) {
		r->answered = 1;
	}
	/* One place, because the verifier allows an instruction to add an index from one path only without CAP_PERFMON.
	 */
	struct exchange *e = current_exchange(r);
	if (starts)
		start_exchange(e, before, news->data_start, &r->conn.dir[TX]);
	if (dir == RX)
		take_rx_segment(e, p);
	__u64 last = news->retransmitted ? stamp_value(&e->last[dir]) : 0;
	if (!stamp_value(&e->first[dir]))
		set_stamp(&e->first[dir], p->now);
	set_stamp(&e->last[dir], p->now);
	if (last)
		take_wait(&r->conn.dir[dir], last, p->now);
}

#endif
