/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Round-trip time: two tx segments are timed, until an rx acknowledgement covers them: the first one sent when none was
 * being timed, and always the newest. Any tx retransmission cancels both (Karn's algorithm; RFC 6298, 3). Like Linux
 * (tcp_ack_update_rtt), an acknowledgement that covers both counts the longer time in the smoothed one and the shorter
 * in the minimum. Smoothed by RFC 6298, 2 with alpha 1/8 and beta 1/4, in the scaled integers of Jacobson and Karels.
 * The caller holds the record's lock.
 */
#ifndef FIVETUPLE_RTT_H
#define FIVETUPLE_RTT_H

#include "count.h"

static __always_inline __u32 sample_us(__u64 us)
{
	return us > 0x0fffffff ? 0x0fffffff : us ?: 1; /* 0 means none */
}

static __always_inline void take_sample(struct round_trip *rtt, __u64 us, __u64 shortest_us)
{
	__u32 sample = sample_us(us), shortest = sample_us(shortest_us);

	if (!rtt->min_us || shortest < rtt->min_us)
		rtt->min_us = shortest;
	if (!rtt->smoothed_us8) {
		rtt->smoothed_us8 = sample * 8;
		rtt->var_us4 = sample * 2;
		return;
	}
	__s32 error = (__s32)sample - (__s32)(rtt->smoothed_us8 >> 3);
	rtt->smoothed_us8 += error;
	if (error < 0)
		error = -error;
	rtt->var_us4 += error - (__s32)(rtt->var_us4 >> 2);
}

static __always_inline void time_segment(struct round_trip *rtt, __u32 now, __u32 end)
{
	rtt->newest = now;
	if (!rtt->sent) {
		rtt->sent = now;
		rtt->seq = end;
	}
}

static __always_inline void take_acknowledgement(struct round_trip *rtt, __u32 now, __u32 ack, __u32 high)
{
	/* Volatile: the compiler would choose between addresses, which the verifier allows only with CAP_PERFMON. */
	__u32 sent = *(volatile __u32 *)&rtt->sent, newest = *(volatile __u32 *)&rtt->newest;

	if (sent && before(ack, rtt->seq))
		sent = 0;
	if (ack != high)
		newest = 0;
	if (sent)
		rtt->sent = 0;
	if (newest)
		rtt->newest = 0;
	/* A clock that ran backwards, and an acknowledgement half an hour late, measure nothing. */
	if (sent && before(now, sent))
		sent = 0;
	if (newest && before(now, newest))
		newest = 0;
	if (sent || newest)
		take_sample(rtt, now - (sent ?: newest), now - (newest ?: sent));
}

/* Microseconds mod 2^32: an acknowledgement does not take an hour. 0 means none. */
static __always_inline __u32 clock_us(const struct packet *p)
{
	return (__u32)(p->now / 1000) ?: 1;
}

static __always_inline void take_round_trip(struct round_trip *rtt, const struct conn *c, const struct packet *p,
					    int dir, const struct news *news)
{
	if (dir == RX) {
		if ((rtt->sent || rtt->newest) && p->flags & TCP_ACK && !(p->flags & TCP_RST))
			take_acknowledgement(rtt, clock_us(p), p->ack, c->dir[TX].seq_high);
	} else if (news->retransmitted) {
		rtt->sent = rtt->newest = 0;
	} else if (news->advanced && !(p->flags & TCP_SYN)) {
		time_segment(rtt, clock_us(p), c->dir[TX].seq_high);
	}
}

/* The handshake's own sample: the SYN that this host sent, or its SYN-ACK, unless it went out twice. */
static __always_inline void take_handshake_round_trip(struct flow_record *r)
{
	struct conn *c = &r->conn;
	/* Volatile: the compiler would choose between addresses, which the verifier allows only with CAP_PERFMON. */
	__u64 syn = *(volatile __u64 *)&c->syn, syn_ack = *(volatile __u64 *)&c->syn_ack;
	__u64 ack = *(volatile __u64 *)&c->ack;
	int accepted = c->dir[TX].flags & TCP_ACK;
	__u64 sent = accepted ? syn_ack : syn, answered = accepted ? ack : syn_ack;

	if (sent && answered > sent && !c->dir[TX].retransmitted)
		take_sample(&r->rtt, (answered - sent) / 1000, (answered - sent) / 1000);
}

#endif
