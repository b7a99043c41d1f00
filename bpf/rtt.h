/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Round-trip time: one tx segment is timed at a time, until an rx acknowledgement covers it; any tx retransmission
 * cancels it (Karn's algorithm; RFC 6298, 3). Smoothed by RFC 6298, 2 with alpha 1/8 and beta 1/4, in the scaled
 * integers of Jacobson and Karels. The caller holds the record's lock.
 */
#ifndef FIVETUPLE_RTT_H
#define FIVETUPLE_RTT_H

#include "count.h"

static __always_inline void take_sample(struct round_trip *rtt, __u64 ns)
{
	__u64 us = ns / 1000;
	__u32 sample = us > 0x0fffffff ? 0x0fffffff : us ?: 1; /* 0 means none */

	if (!rtt->min_us || sample < rtt->min_us)
		rtt->min_us = sample;
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

static __always_inline void take_round_trip(struct flow_record *r, const struct packet *p, int dir,
					    const struct news *news)
{
	struct round_trip *rtt = &r->rtt;

	if (dir == TX) {
		if (news->retransmitted) {
			rtt->sent = 0;
		} else if (news->payload && !rtt->sent) {
			rtt->sent = p->now;
			rtt->seq = r->conn.dir[TX].seq_high;
		}
	} else if (rtt->sent && p->flags & TCP_ACK && !(p->flags & TCP_RST) && !before(p->ack, rtt->seq)) {
		take_sample(rtt, p->now - rtt->sent);
		rtt->sent = 0;
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
		take_sample(&r->rtt, answered - sent);
}

#endif
