/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* UDP flows: counts, times and the first payload each way. */
#ifndef FIVETUPLE_UDP_H
#define FIVETUPLE_UDP_H

#include "lock.h"
#include "maps.h"
#include "count.h"

/* The packet's entry, locked; or 0 with the reason. */
static __always_inline struct conn *take_udp_entry(const struct packet *p, int *reason)
{
	const struct flow_key own = p->key, *key = &own; /* see take_record */
	struct conn *c = bpf_map_lookup_elem(&udp, key);
	*reason = CONTENDED;
	if (c)
		return take(c, p) == PARSED ? c : 0;
	int inserted = !bpf_map_update_elem(&udp, key, (void *)&blank.conn, BPF_NOEXIST);
	c = bpf_map_lookup_elem(&udp, key);
	if (!c) {
		*reason = TABLE_FULL;
		COUNT_TABLE(TABLE_UDP, refused);
		return 0;
	}
	if (!inserted)
		return take(c, p) == PARSED ? c : 0;
	COUNT_TABLE(TABLE_UDP, inserted);
	c->tag = tag(p);
	c->id = p->now;
	c->state = STATE_OPEN;
	return c;
}

static __always_inline int count_datagram(struct __sk_buff *skb, const struct packet *p, int dir)
{
	int reason;
	struct conn *c = take_udp_entry(p, &reason);
	if (!c)
		return reason;
	reason = RECORDED_UDP;
	if (own_interface(c, p, dir, skb->ifindex))
		count_packet(skb, c, &c->dir[dir], p);
	else
		reason = OTHER_INTERFACE;
	unlock(&c->lock);
	return reason;
}

ONE_FOR_EACH_DIRECTION(udp_datagram, count_datagram, const struct packet)

#endif
