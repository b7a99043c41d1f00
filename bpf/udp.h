/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* UDP flows: counts, times and the first payload each way. */
#ifndef FIVETUPLE_UDP_H
#define FIVETUPLE_UDP_H

#include "lock.h"
#include "maps.h"
#include "count.h"

static __always_inline struct conn *take_udp_entry(const struct packet *p)
{
	struct conn *c = bpf_map_lookup_elem(&udp, &p->key);
	if (!c && !bpf_map_update_elem(&udp, &p->key, (void *)&blank.conn, BPF_NOEXIST)) {
		c = bpf_map_lookup_elem(&udp, &p->key);
		if (c) {
			c->id = p->now;
			c->state = STATE_OPEN;
		}
		return c;
	}
	if (!c)
		c = bpf_map_lookup_elem(&udp, &p->key);
	return c && lock(&c->lock) ? c : 0;
}

static __always_inline int count_datagram(struct __sk_buff *skb, const struct packet *p, int dir)
{
	struct conn *c = take_udp_entry(p);
	int reason = RECORDED_UDP;

	if (!c)
		return CONTENDED;
	if (own_interface(c, &c->dir[dir], p, skb->ifindex))
		count_packet(skb, c, &c->dir[dir], p);
	else
		reason = OTHER_INTERFACE;
	unlock(&c->lock);
	return reason;
}

ONE_FOR_EACH_DIRECTION(udp_datagram, count_datagram, const struct packet)

#endif
