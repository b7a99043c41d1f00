/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Duplicates: segments that this host sent again although they had arrived. The peer says so by a first SACK block that
 * lies below its acknowledgement, or inside the second block (RFC 2883, 4). They tell a probe, which a sender makes
 * when an acknowledgement is late (RFC 8985, 7), from a loss. The caller holds the record's lock.
 */
#ifndef FIVETUPLE_SACK_H
#define FIVETUPLE_SACK_H

#include "count.h"

/* A TCP header with one SACK block; or with timestamps alone, which are as long. */
#define ONE_OPTION_HEADER 32

/* 1 if the segment's header has room for a SACK block beside the timestamps that the connection uses. */
static __always_inline int may_report(const struct flow_record *r, const struct packet *p)
{
	__u32 header = p->data - p->l4;

	if (header < ONE_OPTION_HEADER)
		return 0;
	if (header > ONE_OPTION_HEADER)
		return 1;
	const struct direction *rx = &r->conn.dir[RX], *tx = &r->conn.dir[TX];
	return rx->known & tx->known & KNOWN_ISN && !(rx->syn_options & tx->syn_options & SYN_TIMESTAMPS);
}

struct sack_block {
	__be32 start;
	__be32 end;
};

/* How many of the segment's first two blocks were read. */
static __always_inline int read_blocks(struct __sk_buff *skb, const struct packet *p, struct sack_block *first,
				       struct sack_block *second)
{
	__u32 found = find_option(skb, p->l4 + sizeof(struct tcphdr), p->data, OPTION_SACK_BLOCKS);
	__u32 offset = (found >> 8) + 2, bytes = (found & 0xff) - 2;

	if (!found || !bytes || bytes % sizeof(*first) || load(skb, offset, first, sizeof(*first)))
		return 0;
	if (bytes == sizeof(*first))
		return 1;
	return load(skb, offset + sizeof(*first), second, sizeof(*second)) ? 0 : 2;
}

/* The bytes that the segment reports to be duplicates; 0: none. */
static __always_inline __u32 duplicate_bytes(struct __sk_buff *skb, const struct packet *p, __u32 high)
{
	struct sack_block first = {}, second = {};
	int blocks = read_blocks(skb, p, &first, &second);
	__u32 start = bpf_ntohl(first.start), end = bpf_ntohl(first.end);

	if (!blocks || !before(start, end) || before(high, end))
		return 0;
	if (!before(p->ack, end))
		return end - start;
	if (blocks < 2 || before(start, bpf_ntohl(second.start)) || before(bpf_ntohl(second.end), end))
		return 0;
	return end - start;
}

/* Like Linux (tcp_dsack_seen), full segments by the smaller of the two MSS; 1 if none was announced. */
static __always_inline __u32 full_segments(const struct flow_record *r, __u32 bytes)
{
	/* Volatile: the compiler would choose between addresses, which the verifier allows only with CAP_PERFMON. */
	__u32 mss = *(const volatile __u16 *)&r->conn.dir[RX].syn_mss;
	__u32 own = *(const volatile __u16 *)&r->conn.dir[TX].syn_mss;

	if (!mss || (own && own < mss))
		mss = own;
	return mss ? (bytes + mss - 1) / mss : 1;
}

/* Takes a segment of the peer's. A function of its own, as what is rare is: hence the check, and what nobody reads. */
__noinline int take_duplicates(struct __sk_buff *skb, struct flow_record *r, const struct packet *p)
{
	if (!r || !p || (p->flags & (TCP_SYN | TCP_RST | TCP_ACK)) != TCP_ACK)
		return 0;
	const struct direction *tx = &r->conn.dir[TX];
	__u32 bytes = duplicate_bytes(skb, p, tx->seq_high);
	if (!bytes)
		return 0;
	__u32 segments = full_segments(r, bytes);
	__u32 most = tx->retransmitted + tx->out_of_order - r->duplicates;
	if (segments > most)
		segments = most; /* duplicated on the way, or told by a liar */
	if (segments > 0xffffu - r->duplicates)
		segments = 0xffffu - r->duplicates;
	r->duplicates += segments;
	return 0;
}

#endif
