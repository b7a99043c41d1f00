/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* UDP flows: counts, times and the first payload each way. */
#ifndef FIVETUPLE_UDP_H
#define FIVETUPLE_UDP_H

#include "lock.h"
#include "maps.h"
#include "count.h"

static __always_inline struct conn *take_udp(const struct packet *p)
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

__noinline int udp_datagram(struct __sk_buff *skb, const struct packet *p, int direction)
{
	int dir = direction == TX ? TX : RX;
	if (!p) /* never: the verifier looks at this function alone */
		return CONTENDED;
	struct conn *c = take_udp(p);
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

#endif
