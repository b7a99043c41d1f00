/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What each remote address did: SYNs, handshakes, resets, malformed packets. The counts are added atomically, because
 * an address's connections meet on all CPUs. Segments of an open connection do not come here. Each function is one that
 * the verifier looks at alone.
 */
#ifndef FIVETUPLE_SOURCES_H
#define FIVETUPLE_SOURCES_H

#include "maps.h"
#include "parse.h"

static const volatile struct source new_source = {};

/* MurmurHash3's finalizer: linear counting wants bits as if drawn at random, also of ports that follow each other. */
static __always_inline __u32 scatter(__u32 n)
{
	n = (n ^ n >> 16) * 0x85ebca6b;
	n = (n ^ n >> 13) * 0xc2b2ae35;
	return n ^ n >> 16;
}

static __always_inline struct source *take_source(const struct packet *p)
{
	struct address {
		__u64 half[2];
	} key; /* in the function's own stack, see take_record */
	__builtin_memcpy(&key, p->key.remote, sizeof(key));
	struct source *s = bpf_map_lookup_elem(&sources, &key);
	if (s)
		return s;
	if (!bpf_map_update_elem(&sources, &key, (void *)&new_source, BPF_NOEXIST))
		COUNT_TABLE(TABLE_SOURCES, inserted);
	s = bpf_map_lookup_elem(&sources, &key);
	if (!s)
		COUNT_TABLE(TABLE_SOURCES, refused);
	return s;
}

/* The source of a packet, marked as seen; 0 if there is no room. */
static __always_inline struct source *seen_source(const struct packet *p)
{
	struct source *s = take_source(p);
	if (!s)
		return 0;
	if (!s->first)
		s->first = p->now;
	s->last = p->now;
	return s;
}

/* A SYN without ACK, or a RST, from the peer. */
__noinline int count_source_segment(const struct packet *p)
{
	struct source *s = p ? seen_source(p) : 0;
	if (!s)
		return 0;
	if (p->flags & TCP_RST) {
		__sync_fetch_and_add(&s->rsts, 1);
		return 0;
	}
	__sync_fetch_and_add(&s->syns, 1);
	__u32 bit = scatter(p->key.local_port) & (PORT_BITS - 1);
	__u32 *word = &s->ports[bit / 32 & (PORT_BITS / 32 - 1)];
	if (!(*word >> (bit & 31) & 1))
		__sync_fetch_and_or(word, 1u << (bit & 31));
	return 0;
}

/* A packet that is malformed; 0 is nobody's address, and was not read. */
__noinline int count_source_malformed(const struct packet *p)
{
	const __u64 *address = p ? (const __u64 *)p->key.remote : 0;
	if (!address || !(address[0] | address[1]))
		return 0;
	struct source *s = seen_source(p);
	if (s)
		__sync_fetch_and_add(&s->malformed, 1);
	return 0;
}

/* A record begun; OPENED: by a handshake that the peer had begun. */
__noinline int count_source_flow(const struct packet *p, int opened)
{
	struct source *s = p ? seen_source(p) : 0;
	if (!s)
		return 0;
	__sync_fetch_and_add(&s->flows, 1);
	if (opened)
		__sync_fetch_and_add(&s->handshakes, 1);
	return 0;
}

#endif
