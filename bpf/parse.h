/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * From a packet to the facts that the tables need. Every way out has a reason of its own.
 * Headers beyond the linear part are pulled, payload never.
 */
#ifndef FIVETUPLE_PARSE_H
#define FIVETUPLE_PARSE_H

#include "record.h"

#define MAX_VLAN_TAGS 8       /* in the packet's data; a tag in the skb's metadata does not count */
#define MAX_IPV6_EXTENSIONS 8 /* headers walked; RFC 8200 has six kinds, each once */

#define ETH_P_8021Q_OLD 0x9100

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* parse() wants more of the packet to be linear: packet.want bytes. */
#define PULL (-1)
/* parse() is through: the packet is TCP or UDP and whole. Below all reasons but RECORDED_FLOW, which it never gives. */
#define PARSED 0

struct packet {
	struct flow_key key;
	__u64 now;
	__u32 want;
	__u32 l3;        /* offset of the IP header */
	__u32 l4;        /* offset of the TCP or UDP header */
	__u32 l3_length; /* bytes of the IP packet, headers included */
	__u32 data;      /* offset of the payload */
	__u32 payload;   /* bytes */
	__u32 headers;   /* IP + L4 header bytes of one segment */
	__u32 segments;
	__u32 segment_max; /* payload bytes of a full segment */
	__u32 seq;
	__u32 ack;
	__u16 flags; /* nine bits: CWR 0x80, AE 0x100 */
	__u16 window;
	__u8 ttl;
	__u8 ipv4;
};

static __always_inline int is_vlan(__be16 protocol)
{
	return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD) ||
	       protocol == bpf_htons(ETH_P_8021Q_OLD);
}

static __always_inline __u32 ip_version(__be16 protocol)
{
	return protocol == bpf_htons(ETH_P_IP) ? 4 : protocol == bpf_htons(ETH_P_IPV6) ? 6 : 0;
}

/*
 * The header of SIZE bytes at OFFSET, or a return from the caller: with PULL if the packet has it beyond its linear
 * part, with REASON if it has not. A macro, because the verifier wants the comparison with data_end in the frame and
 * on the very pointer that is used.
 */
#define HEADER(skb, p, type, name, offset, size, reason)             \
	type *name = (void *)(long)(skb)->data + (offset);           \
	if ((void *)name + (size) > (void *)(long)(skb)->data_end) { \
		(p)->want = (offset) + (size);                       \
		return (p)->want > (skb)->len ? (reason) : PULL;     \
	}

static __always_inline void set_address(__u8 *to, const __u8 *from, int ipv4)
{
	if (ipv4) {
		((__u64 *)to)[0] = 0;
		((__u32 *)to)[2] = bpf_htonl(0xffff);
		((__u32 *)to)[3] = *(const __u32 *)from;
	} else {
		__builtin_memcpy(to, from, 16);
	}
}

static __always_inline void set_addresses(struct packet *p, int dir, const void *source, const void *destination)
{
	set_address(p->key.local, dir == RX ? destination : source, p->ipv4);
	set_address(p->key.remote, dir == RX ? source : destination, p->ipv4);
}

static __always_inline void set_ports(struct packet *p, int dir, __be16 source, __be16 destination)
{
	p->key.local_port = bpf_ntohs(dir == RX ? destination : source);
	p->key.remote_port = bpf_ntohs(dir == RX ? source : destination);
}

/*
 * The two walkers below follow chains of headers of any length. They are functions of their own, that the verifier
 * looks at once, because a loop with an offset would otherwise multiply all that comes behind it. They copy what they
 * read, so that nothing has to be linear. Both return offset << 8 | type, or REASON << 32.
 */
#define WALKED(offset, type) ((__u64)(offset) << 8 | (type))
#define STRAYED(reason) ((__u64)(reason) << 32)

struct vlan_header {
	__be16 tci;
	__be16 protocol;
};

/* From the first of the tags in the packet's data to what they carry: type 4 or 6, or 0 if it is not IP. */
__noinline __u64 walk_tags(struct __sk_buff *skb)
{
	__u32 offset = sizeof(struct ethhdr);
	struct vlan_header vlan = {};

	for (int i = 0; i < MAX_VLAN_TAGS; i++) {
		if (bpf_skb_load_bytes(skb, offset, &vlan, sizeof(vlan)))
			return STRAYED(L2_TRUNCATED);
		offset += sizeof(vlan);
		if (!is_vlan(vlan.protocol))
			return WALKED(offset, ip_version(vlan.protocol));
	}
	return STRAYED(VLAN_DEPTH);
}

struct ipv6_extension {
	__u8 next;
	__u8 length;
	__be16 fragment; /* in the fragment header: offset and flag */
};

/* From the first extension header, of type NEXT at OFFSET, to the upper-layer header (RFC 8200, 4). */
__noinline __u64 walk_extensions(struct __sk_buff *skb, __u32 offset, __u32 next)
{
	struct ipv6_extension extension = {};

	for (int i = 0; i <= MAX_IPV6_EXTENSIONS; i++) {
		__u32 unit = 8;
		switch (next) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
		case IPPROTO_MH:
			break;
		case IPPROTO_AH: /* RFC 4302, 2.2: 32-bit words less 2 */
			unit = 4;
			break;
		case IPPROTO_FRAGMENT: /* its second byte is reserved */
			unit = 0;
			break;
		default:
			return WALKED(offset, next);
		}
		if (bpf_skb_load_bytes(skb, offset, &extension, sizeof(extension)))
			return STRAYED(IP_TRUNCATED);
		if (next == IPPROTO_FRAGMENT && extension.fragment & bpf_htons(0xfff8))
			return STRAYED(IP_LATER_FRAGMENT);
		next = extension.next;
		offset += 8 + unit * extension.length;
	}
	return STRAYED(IPV6_EXTENSION_DEPTH);
}

/* Follows the Ethernet header and the tags in the data to the IP header; sets l3 and *version, 0 for what is not IP. */
static __always_inline int parse_ethernet(struct __sk_buff *skb, struct packet *p, __u32 *version)
{
	HEADER(skb, p, struct ethhdr, eth, 0, sizeof(*eth), L2_TRUNCATED)
	p->l3 = sizeof(*eth);
	*version = ip_version(eth->h_proto);
	if (!is_vlan(eth->h_proto))
		return PARSED;
	__u64 walked = walk_tags(skb);
	*version = walked & 0xff;
	p->l3 = walked >> 8 & 0xff;
	return walked >> 32;
}

/* Sets l3_length from the header's figure; 0 there means a packet too large for the field, which offload made. */
static __always_inline int set_length(struct __sk_buff *skb, struct packet *p, __u32 length, __u32 header)
{
	__u32 rest = skb->len - p->l3;
	if (!length)
		length = skb->gso_size ? rest : 0;
	if (length < header)
		return IP_BAD_LENGTH;
	if (length > rest)
		return IP_TRUNCATED;
	p->l3_length = length;
	return PARSED;
}

static __always_inline int parse_ipv4(struct __sk_buff *skb, struct packet *p, int dir)
{
	HEADER(skb, p, struct iphdr, ip, p->l3, sizeof(*ip), IP_TRUNCATED)
	__u32 header = ip->ihl * 4;
	if (ip->version != 4)
		return IP_BAD_VERSION;
	if (header < sizeof(*ip))
		return IP_BAD_HEADER_LENGTH;
	int reason = set_length(skb, p, bpf_ntohs(ip->tot_len), header);
	if (reason)
		return reason;
	if (ip->frag_off & bpf_htons(0x1fff))
		return IP_LATER_FRAGMENT;
	p->ipv4 = 1;
	p->key.proto = ip->protocol;
	p->ttl = ip->ttl;
	p->l4 = p->l3 + header;
	set_addresses(p, dir, &ip->saddr, &ip->daddr);
	return PARSED;
}

static __always_inline int parse_ipv6(struct __sk_buff *skb, struct packet *p, int dir)
{
	HEADER(skb, p, struct ipv6hdr, ip, p->l3, sizeof(*ip), IP_TRUNCATED)
	if (ip->version != 6)
		return IP_BAD_VERSION;
	__u32 payload = bpf_ntohs(ip->payload_len);
	int reason = set_length(skb, p, payload ? payload + sizeof(*ip) : 0, sizeof(*ip));
	if (reason)
		return reason;
	p->ttl = ip->hop_limit;
	p->l4 = p->l3 + sizeof(*ip);
	set_addresses(p, dir, &ip->saddr, &ip->daddr);
	p->key.proto = ip->nexthdr;
	if (p->key.proto == IPPROTO_TCP || p->key.proto == IPPROTO_UDP)
		return PARSED;
	__u64 walked = walk_extensions(skb, p->l4, p->key.proto);
	p->key.proto = walked & 0xff;
	p->l4 = walked >> 8 & 0x7fff; /* at most 46 + 40 + 9 x 2048 */
	return walked >> 32;
}

/* Sets the payload's place and size and the segments' figures. HEADER_LENGTH is that of the L4 header. */
static __always_inline int set_payload(struct __sk_buff *skb, struct packet *p, __u32 header_length)
{
	p->headers = p->l4 - p->l3 + header_length;
	if (p->headers > p->l3_length)
		return L4_BAD_LENGTH;
	p->data = p->l4 + header_length;
	p->payload = p->l3_length - p->headers;
	p->segments = 1;
	p->segment_max = p->payload;
	/* gso_segs is 0 or 1 in places, so the count is made here. */
	__u32 gso = skb->gso_size;
	if (gso && p->payload > gso) {
		p->segments = (p->payload + gso - 1) / gso;
		p->segment_max = gso;
	}
	return PARSED;
}

static __always_inline int parse_tcp(struct __sk_buff *skb, struct packet *p, int dir)
{
	if (p->l4 - p->l3 + sizeof(struct tcphdr) > p->l3_length)
		return L4_TRUNCATED;
	HEADER(skb, p, struct tcphdr, tcp, p->l4, sizeof(*tcp), L4_TRUNCATED)
	if (tcp->doff * 4 < sizeof(*tcp))
		return L4_BAD_LENGTH;
	set_ports(p, dir, tcp->source, tcp->dest);
	p->seq = bpf_ntohl(tcp->seq);
	p->ack = bpf_ntohl(tcp->ack_seq);
	p->window = bpf_ntohs(tcp->window);
	p->flags = bpf_ntohs(((__be16 *)tcp)[6]) & 0x1ff;
	return set_payload(skb, p, tcp->doff * 4);
}

static __always_inline int parse_udp(struct __sk_buff *skb, struct packet *p, int dir)
{
	if (p->l4 - p->l3 + sizeof(struct udphdr) > p->l3_length)
		return L4_TRUNCATED;
	HEADER(skb, p, struct udphdr, udp, p->l4, sizeof(*udp), L4_TRUNCATED)
	set_ports(p, dir, udp->source, udp->dest);
	return set_payload(skb, p, sizeof(*udp));
}

static __always_inline int parse_linear(struct __sk_buff *skb, struct packet *p, int dir)
{
	__u32 version;
	int reason = parse_ethernet(skb, p, &version);
	if (reason)
		return reason;
	if (version == 4)
		reason = parse_ipv4(skb, p, dir);
	else if (version == 6)
		reason = parse_ipv6(skb, p, dir);
	else
		reason = NOT_IP;
	if (reason)
		return reason;
	switch (p->key.proto) {
	case IPPROTO_TCP:
		return parse_tcp(skb, p, dir);
	case IPPROTO_UDP:
		return parse_udp(skb, p, dir);
	}
	return OTHER_PROTOCOL;
}

/* PARSED, or the reason why the packet is none of ours. */
static __always_inline int parse(struct __sk_buff *skb, struct packet *p, int dir)
{
	/* Each pull reaches at least one header further: Ethernet, IP, L4. */
	for (int i = 0; i < 4; i++) {
		int reason = parse_linear(skb, p, dir);
		if (reason != PULL)
			return reason;
		if (bpf_skb_pull_data(skb, p->want))
			break;
	}
	return PULL_FAILED;
}

#endif
