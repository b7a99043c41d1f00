/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * How entries go: the agent asks for each by a test run of ft_remove. It looks again under the entry's lock, so that
 * none goes that a packet has come for meanwhile.
 */
#ifndef FIVETUPLE_REMOVE_H
#define FIVETUPLE_REMOVE_H

#include "tcp.h"

/* What the agent asks, behind an Ethernet header that the test run wants. Its twin is in sweep.go. */
struct removal {
	struct flow_key key;
	__u64 silent_since; /* the entry goes if its last packet came before */
	__u64 ended_since;  /* so does one that is closed, or was promoted, if its last packet came before this */
	__u32 table;        /* TABLE_FLOWS, TABLE_HALF_OPEN or TABLE_UDP */
	__u32 pad;
};

static __always_inline int goes(const struct conn *c, const struct removal *ask)
{
	int ended = c->state == STATE_CLOSED || c->state == STATE_PROMOTED;
	return c->last < ask->silent_since || (ended && c->last < ask->ended_since);
}

/*
 * Unlocked before it is deleted, because who waits for its lock would otherwise wait for ever; and without a tag, so
 * that who then gets it looks for another.
 */
#define REMOVE(map, table, c, key)                   \
	do {                                         \
		(c)->tag = 0;                        \
		unlock(&(c)->lock);                  \
		if (!bpf_map_delete_elem(&map, key)) \
			COUNT_TABLE(table, removed); \
	} while (0)

static __always_inline int remove_flow(const struct removal *ask)
{
	struct flow_record *r = bpf_map_lookup_elem(&flows, &ask->key);
	if (!r || !lock(&r->conn.lock))
		return 0;
	if (!goes(&r->conn, ask)) {
		unlock(&r->conn.lock);
		return 0;
	}
	drop_all_holes(r, &ask->key);
	REMOVE(flows, TABLE_FLOWS, &r->conn, &ask->key);
	return 1;
}

static __always_inline int lock_to_remove(struct conn *c, const struct removal *ask)
{
	if (!c || !lock(&c->lock))
		return 0;
	if (goes(c, ask))
		return 1;
	unlock(&c->lock);
	return 0;
}

static __always_inline int remove_entry(const struct removal *ask)
{
	struct handshake *h;
	struct conn *c;
	switch (ask->table) {
	case TABLE_FLOWS:
		return remove_flow(ask);
	case TABLE_HALF_OPEN:
		h = bpf_map_lookup_elem(&half_open, &ask->key);
		c = h ? &h->conn : 0;
		if (!lock_to_remove(c, ask))
			return 0;
		REMOVE(half_open, TABLE_HALF_OPEN, c, &ask->key);
		return 1;
	case TABLE_UDP:
		c = bpf_map_lookup_elem(&udp, &ask->key);
		if (!lock_to_remove(c, ask))
			return 0;
		REMOVE(udp, TABLE_UDP, c, &ask->key);
		return 1;
	}
	return 0;
}

/* Returns 1 if the entry went. */
SEC("tc")
int ft_remove(struct __sk_buff *skb)
{
	struct removal ask = {};
	if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &ask, sizeof(ask)))
		return 0;
	return remove_entry(&ask);
}

#endif
