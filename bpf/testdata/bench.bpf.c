//go:build ignore

/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The kernel program and a reference beside it, for the benchmarks. The reference does the least that any flow counter
 * does: it parses Ethernet, IPv4 and TCP, reads the clock, looks up a 40-byte key in an LRU hash, and adds four
 * counters.
 *
 * A test run repeats one packet. So that each run is the next segment and no old one, both sides first write the packet
 * anew: the sequence number goes on and, with `spread`, so does the peer's port, through all 65,536 in an order that no
 * cache knows.
 */
#include "../fivetuple.bpf.c"

const volatile __u8 spread = 0;

struct counters {
	__u64 packets;
	__u64 bytes;
	__u64 last;
	__u64 flags;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 131072);
	__type(key, struct flow_key);
	__type(value, struct counters);
} reference SEC(".maps");

#define PAYLOAD 200

struct headers {
	struct ethhdr *eth;
	struct iphdr *ip;
	struct tcphdr *tcp;
};

/* Makes the packet the next one; 0 if it is too short. */
static __always_inline int next_packet(struct __sk_buff *skb, struct headers *h, int remote_is_source)
{
	h->eth = (void *)(long)skb->data;
	h->ip = (void *)(h->eth + 1);
	h->tcp = (void *)(h->ip + 1);
	if ((void *)(h->tcp + 1) > (void *)(long)skb->data_end)
		return 0;
	if (!spread) {
		h->tcp->seq = bpf_htonl(bpf_ntohl(h->tcp->seq) + PAYLOAD);
		return 1;
	}
	/* A linear congruential generator of period 65,536; the sequence goes on when all ports had their turn. */
	__be16 *port = remote_is_source ? &h->tcp->source : &h->tcp->dest;
	__u16 next = bpf_ntohs(*port) * 25173 + 13849;
	*port = bpf_htons(next);
	if (!next)
		h->tcp->seq = bpf_htonl(bpf_ntohl(h->tcp->seq) + PAYLOAD);
	return 1;
}

SEC("tc")
int bench_ingress(struct __sk_buff *skb)
{
	struct headers h;
	return next_packet(skb, &h, 1) ? observe(skb, RX) : 0;
}

SEC("tc")
int bench_egress(struct __sk_buff *skb)
{
	struct headers h;
	return next_packet(skb, &h, 0) ? observe(skb, TX) : 0;
}

static __always_inline int count_reference(const struct headers *h)
{
	struct flow_key key = {};
	__u64 now = bpf_ktime_get_ns();

	if (h->eth->h_proto != bpf_htons(ETH_P_IP) || h->ip->ihl != 5 || h->ip->protocol != IPPROTO_TCP)
		return PASS_ON;
	set_address(key.local, (__u8 *)&h->ip->daddr, 1);
	set_address(key.remote, (__u8 *)&h->ip->saddr, 1);
	key.local_port = bpf_ntohs(h->tcp->dest);
	key.remote_port = bpf_ntohs(h->tcp->source);
	key.proto = IPPROTO_TCP;
	struct counters *c = bpf_map_lookup_elem(&reference, &key);
	if (!c) {
		struct counters first = {1, bpf_ntohs(h->ip->tot_len), now, 0};
		bpf_map_update_elem(&reference, &key, &first, BPF_ANY);
		return PASS_ON;
	}
	c->packets++;
	c->bytes += bpf_ntohs(h->ip->tot_len);
	c->last = now;
	c->flags |= bpf_ntohs(((__be16 *)h->tcp)[6]) & 0x1ff;
	return PASS_ON;
}

SEC("tc")
int bench_reference(struct __sk_buff *skb)
{
	struct headers h;
	return next_packet(skb, &h, 1) ? count_reference(&h) : 0;
}
