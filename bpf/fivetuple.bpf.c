//go:build ignore

/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Keeps one record per connection for every packet that enters or leaves an interface, and passes each packet on to
 * whoever comes next. Read in this order: record.h (what is kept), maps.h, parse.h (packet to facts), tcp.h (segment to
 * entry), count.h, kind.h, holes.h, exchange.h, rtt.h and sack.h (what a segment adds to it), sources.h, remove.h (how
 * entries go), read.h (how they are read).
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "tcp.h"
#include "udp.h"
#include "remove.h"
#include "read.h"

/* On to the next program or filter: TCX_NEXT and TC_ACT_UNSPEC are the same number. */
#define PASS_ON (-1)

/* Set when the program is loaded: skb->tstamp is the clock, for replays of captures. */
const volatile __u8 clock_from_skb = 0;

static __always_inline __u64 now(const struct __sk_buff *skb)
{
	return clock_from_skb ? skb->tstamp : bpf_ktime_get_ns();
}

static __always_inline void count_reason(int dir, int reason)
{
	__u32 index = dir * REASONS + reason;
	__u64 *count = bpf_map_lookup_elem(&reasons, &index);
	if (count)
		(*count)++; /* of this CPU, which runs one program at a time: bottom halves are off */
}

static __always_inline int observe(struct __sk_buff *skb, int dir)
{
	struct packet p = {};
	int reason = parse(skb, &p, dir);
	if (reason == PARSED) {
		p.now = now(skb);
		reason = p.key.proto == IPPROTO_TCP ? tcp_segment(skb, &p, dir) : udp_datagram(skb, &p, dir);
	} else if (dir == RX && is_malformed(skb, reason)) {
		p.now = now(skb);
		count_source_malformed(&p);
	}
	count_reason(dir, reason);
	return PASS_ON;
}

SEC("tc")
int ft_ingress(struct __sk_buff *skb)
{
	return observe(skb, RX);
}

SEC("tc")
int ft_egress(struct __sk_buff *skb)
{
	return observe(skb, TX);
}

/* What a program costs that does nothing: the benchmarks' reference. */
SEC("tc")
int ft_empty(struct __sk_buff *skb)
{
	return PASS_ON;
}

char __license[] SEC("license") = "Dual BSD/GPL";
