/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * From a packet to the facts that the tables need. Every way out has a reason of its own.
 *
 * There are two ways. parse_plain() reads where the packet lies: an IPv4 header without options or an IPv6 header
 * without extensions, right behind Ethernet, linear. Everything else goes through parse_copied(), which copies each
 * header that it reads, so that nothing has to be linear and no packet is changed. Both fill in the facts by the same
 * functions. The split is also what lets a loader without CAP_PERFMON in: the verifier then refuses a packet pointer
 * with an offset that is not a constant.
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

/* The packet is TCP or UDP and whole. The number of RECORDED_FLOW, which is no way out of the parser. */
#define PARSED 0

/*
 * Set when the program is loaded, for replays of captures: skb->cb[0] is the frame's length on the wire and cb[1] how
 * many of its bytes were captured. What lies behind is padding that the kernel's test run asked for.
 */
const volatile __u8 lengths_from_cb = 0;

static __always_inline __u32 frame_length(const struct __sk_buff *skb)
{
	/* Volatile: the compiler would choose between addresses, which the verifier allows only with CAP_PERFMON. */
	__u32 length = *(const volatile __u32 *)&skb->len;
	return lengths_from_cb ? skb->cb[0] : length;
}

static __always_inline int is_captured(const struct __sk_buff *skb, __u32 end)
{
	return !lengths_from_cb || end <= skb->cb[1];
}

/* 0 if the bytes are there; they may lie beyond the linear part. */
static __always_inline long load(const struct __sk_buff *skb, __u32 offset, void *to, __u32 size)
{
	return is_captured(skb, offset + size) ? bpf_skb_load_bytes(skb, offset, to, size) : -1;
}

struct packet {
	struct flow_key key;
	__u64 now;
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
 * A chain of headers, followed by bpf_loop (Linux 5.17): a loop of our own would multiply all that comes behind it, and
 * for a loader without CAP_PERFMON the verifier would also walk the rounds that a CPU may speculate.
 */
struct walk {
	struct __sk_buff *skb;
	__u32 offset; /* of the next header */
	__u32 end;    /* of the packet */
	__u32 next;   /* its type */
	__u32 reason; /* PARSED when the walk arrived, else why it did not */
};

/* What the callers get: offset << 8 | type, or REASON << 32. Functions of their own, that the verifier looks at once.
 */
#define WALKED(w) ((w).reason ? (__u64)(w).reason << 32 : (__u64)(w).offset << 8 | (w).next)

#define STOP 1
#define GO_ON 0

struct vlan_header {
	__be16 tci;
	__be16 protocol;
};

static long walk_tag(__u32 round, struct walk *w)
{
	struct vlan_header vlan = {};
	if (load(w->skb, w->offset, &vlan, sizeof(vlan))) {
		w->reason = L2_TRUNCATED;
		return STOP;
	}
	w->offset += sizeof(vlan);
	if (is_vlan(vlan.protocol))
		return GO_ON;
	w->next = ip_version(vlan.protocol);
	w->reason = PARSED;
	return STOP;
}

/* From the first of the tags in the packet's data to what they carry: type 4 or 6, or 0 if it is not IP. */
__noinline __u64 walk_tags(struct __sk_buff *skb)
{
	struct walk w = {.skb = skb, .offset = sizeof(struct ethhdr), .reason = VLAN_DEPTH};
	bpf_loop(MAX_VLAN_TAGS, walk_tag, &w, 0);
	return WALKED(w);
}

struct ipv6_extension {
	__u8 next;
	__u8 length;
	__be16 fragment; /* in the fragment header: offset and flag */
};

static __always_inline int is_extension(__u32 type)
{
	return type == IPPROTO_HOPOPTS || type == IPPROTO_ROUTING || type == IPPROTO_DSTOPTS || type == IPPROTO_MH ||
	       type == IPPROTO_AH || type == IPPROTO_FRAGMENT;
}

static long walk_extension(__u32 round, struct walk *w)
{
	struct ipv6_extension extension = {};
	if (!is_extension(w->next)) {
		w->reason = PARSED;
		return STOP;
	}
	if (round == MAX_IPV6_EXTENSIONS) /* one more than is looked at */
		return STOP;
	if (w->offset + sizeof(extension) > w->end || load(w->skb, w->offset, &extension, sizeof(extension))) {
		w->reason = IP_TRUNCATED;
		return STOP;
	}
	if (w->next == IPPROTO_FRAGMENT && extension.fragment & bpf_htons(0xfff8)) {
		w->reason = IP_LATER_FRAGMENT;
		return STOP;
	}
	/* A fragment header has no length (RFC 8200, 4.5), AH counts in 32-bit words less 2 (RFC 4302, 2.2). */
	__u32 unit = w->next == IPPROTO_FRAGMENT ? 0 : w->next == IPPROTO_AH ? 4 : 8;
	w->offset += 8 + unit * extension.length;
	w->next = extension.next;
	return GO_ON;
}

/* From the first extension header, of type NEXT at OFFSET, to the upper-layer header before END (RFC 8200, 4). */
__noinline __u64 walk_extensions(struct __sk_buff *skb, __u32 offset, __u32 next, __u32 end)
{
	struct walk w = {.skb = skb, .offset = offset, .end = end, .next = next, .reason = IPV6_EXTENSION_DEPTH};
	bpf_loop(MAX_IPV6_EXTENSIONS + 1, walk_extension, &w, 0); /* the last round only finds that it is done */
	return WALKED(w);
}

/* Sets l3_length from the header's figure; 0 there means a packet too large for the field, which offload made. */
static __always_inline int take_length(struct __sk_buff *skb, struct packet *p, __u32 length, __u32 header)
{
	__u32 rest = frame_length(skb) - p->l3;
	if (!length) /* a capture does not say what offload made */
		length = skb->gso_size || lengths_from_cb ? rest : 0;
	if (length < header)
		return IP_BAD_LENGTH;
	if (length > rest)
		return IP_TRUNCATED;
	p->l3_length = length;
	return PARSED;
}

static __always_inline int take_ipv4(struct __sk_buff *skb, struct packet *p, const struct iphdr *ip, int dir)
{
	__u32 header = ip->ihl * 4;
	if (ip->version != 4)
		return IP_BAD_VERSION;
	if (header < sizeof(*ip))
		return IP_BAD_HEADER_LENGTH;
	int reason = take_length(skb, p, bpf_ntohs(ip->tot_len), header);
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

/* Takes the fixed header; key.proto is the next header's type, which may be an extension's. */
static __always_inline int take_ipv6(struct __sk_buff *skb, struct packet *p, const struct ipv6hdr *ip, int dir)
{
	if (ip->version != 6)
		return IP_BAD_VERSION;
	__u32 payload = bpf_ntohs(ip->payload_len);
	int reason = take_length(skb, p, payload ? payload + sizeof(*ip) : 0, sizeof(*ip));
	if (reason)
		return reason;
	p->key.proto = ip->nexthdr;
	p->ttl = ip->hop_limit;
	p->l4 = p->l3 + sizeof(*ip);
	set_addresses(p, dir, &ip->saddr, &ip->daddr);
	return PARSED;
}

/* Sets the payload's place and size and the segments' figures. HEADER_LENGTH is that of the L4 header. */
static __always_inline int take_payload(struct __sk_buff *skb, struct packet *p, __u32 header_length)
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

static __always_inline int take_tcp(struct __sk_buff *skb, struct packet *p, const struct tcphdr *tcp, int dir)
{
	if (tcp->doff * 4 < sizeof(*tcp))
		return L4_BAD_LENGTH;
	set_ports(p, dir, tcp->source, tcp->dest);
	p->seq = bpf_ntohl(tcp->seq);
	p->ack = bpf_ntohl(tcp->ack_seq);
	p->window = bpf_ntohs(tcp->window);
	p->flags = bpf_ntohs(((__be16 *)tcp)[6]) & 0x1ff;
	return take_payload(skb, p, tcp->doff * 4);
}

static __always_inline int take_udp(struct __sk_buff *skb, struct packet *p, const struct udphdr *udp, int dir)
{
	set_ports(p, dir, udp->source, udp->dest);
	return take_payload(skb, p, sizeof(*udp));
}

/* 1 if the packet was plain and has been parsed. */
static __always_inline int parse_plain(struct __sk_buff *skb, struct packet *p, int dir)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct tcphdr *tcp;

	p->l3 = sizeof(*eth);
	if (data + sizeof(*eth) + sizeof(struct iphdr) + sizeof(*tcp) > end ||
	    !is_captured(skb, sizeof(*eth) + sizeof(struct iphdr) + sizeof(*tcp)))
		return 0;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = data + sizeof(*eth);
		tcp = data + sizeof(*eth) + sizeof(*ip);
		if (ip->ihl != 5 || take_ipv4(skb, p, ip, dir))
			return 0;
		p->l4 = sizeof(*eth) + sizeof(*ip);
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = data + sizeof(*eth);
		tcp = data + sizeof(*eth) + sizeof(*ip);
		if ((void *)(tcp + 1) > end || !is_captured(skb, sizeof(*eth) + sizeof(*ip) + sizeof(*tcp)) ||
		    take_ipv6(skb, p, ip, dir))
			return 0;
	} else {
		return 0;
	}
	if (p->l3_length < p->l4 - p->l3 + sizeof(*tcp) || p->key.proto != IPPROTO_TCP)
		return 0;
	return !take_tcp(skb, p, tcp, dir);
}

static __always_inline int copy_ipv4(struct __sk_buff *skb, struct packet *p, int dir)
{
	struct iphdr ip;
	if (load(skb, p->l3, &ip, sizeof(ip)))
		return IP_TRUNCATED;
	p->ipv4 = 1;
	set_addresses(p, dir, &ip.saddr, &ip.daddr); /* also of a packet that is malformed */
	return take_ipv4(skb, p, &ip, dir);
}

static __always_inline int copy_ipv6(struct __sk_buff *skb, struct packet *p, int dir)
{
	struct ipv6hdr ip;
	if (load(skb, p->l3, &ip, sizeof(ip)))
		return IP_TRUNCATED;
	set_addresses(p, dir, &ip.saddr, &ip.daddr);
	int reason = take_ipv6(skb, p, &ip, dir);
	if (reason || !is_extension(p->key.proto))
		return reason;
	__u64 walked = walk_extensions(skb, p->l4, p->key.proto, p->l3 + p->l3_length);
	p->key.proto = walked & 0xff;
	p->l4 = walked >> 8 & 0x7fff; /* at most 46 + 40 + 9 x 2048 */
	return walked >> 32;
}

/* Follows the Ethernet header and the tags in the data to the IP header; sets l3 and *version, 0 for what is not IP. */
static __always_inline int copy_ethernet(struct __sk_buff *skb, struct packet *p, __u32 *version)
{
	struct ethhdr eth;
	if (load(skb, 0, &eth, sizeof(eth)))
		return L2_TRUNCATED;
	p->l3 = sizeof(eth);
	*version = ip_version(eth.h_proto);
	if (!is_vlan(eth.h_proto))
		return PARSED;
	__u64 walked = walk_tags(skb);
	*version = walked & 0xff;
	p->l3 = walked >> 8 & 0xff;
	return walked >> 32;
}

static __always_inline int copy_l4(struct __sk_buff *skb, struct packet *p, int dir)
{
	struct tcphdr header; /* or the first bytes of one, for UDP */
	__u32 size = p->key.proto == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr);

	if (p->key.proto != IPPROTO_TCP && p->key.proto != IPPROTO_UDP)
		return OTHER_PROTOCOL;
	if (p->l4 - p->l3 + size > p->l3_length || load(skb, p->l4, &header, size))
		return L4_TRUNCATED;
	if (p->key.proto == IPPROTO_TCP)
		return take_tcp(skb, p, &header, dir);
	return take_udp(skb, p, (struct udphdr *)&header, dir);
}

static __always_inline int parse_copied(struct __sk_buff *skb, struct packet *p, int dir)
{
	__u32 version;

	p->ipv4 = 0;
	int reason = copy_ethernet(skb, p, &version);
	if (reason)
		return reason;
	if (version == 4)
		reason = copy_ipv4(skb, p, dir);
	else if (version == 6)
		reason = copy_ipv6(skb, p, dir);
	else
		reason = NOT_IP;
	return reason ?: copy_l4(skb, p, dir);
}

/*
 * What is rare is a function of its own, which the verifier looks at alone: hence the check of a pointer that is never
 * 0. There is one for each direction, because a direction that is a constant leaves no index that is not.
 */
#define ONE_FOR_EACH_DIRECTION(name, body, p_type)                                 \
	__noinline int name##_rx(struct __sk_buff *skb, p_type *p)                 \
	{                                                                          \
		return p ? body(skb, p, RX) : CONTENDED;                           \
	}                                                                          \
	__noinline int name##_tx(struct __sk_buff *skb, p_type *p)                 \
	{                                                                          \
		return p ? body(skb, p, TX) : CONTENDED;                           \
	}                                                                          \
	static __always_inline int name(struct __sk_buff *skb, p_type *p, int dir) \
	{                                                                          \
		return dir == RX ? name##_rx(skb, p) : name##_tx(skb, p);          \
	}

ONE_FOR_EACH_DIRECTION(parse_other, parse_copied, struct packet)

/* A hash of the 5-tuple, by which a writer knows its entry again. */
static __always_inline __u32 tag(const struct packet *p)
{
	const __u64 *word = (const __u64 *)&p->key;
	__u64 mixed = word[0] * 0x9e3779b97f4a7c15 + word[1] * 0xc2b2ae3d27d4eb4f + word[2] * 0x165667b19e3779f9 +
		      word[3] * 0xd6e8feb86659fd93 + word[4] * 0xff51afd7ed558ccd;
	return mixed >> 32;
}

/* Reasons that are the sender's fault, whose address was read before, if it could be. */
#define MALFORMED                                                                                         \
	(1 << IP_TRUNCATED | 1 << IP_BAD_HEADER_LENGTH | 1 << IP_BAD_LENGTH | 1 << IPV6_EXTENSION_DEPTH | \
	 1 << L4_TRUNCATED | 1 << L4_BAD_LENGTH)

/* 1 if the packet is malformed. Of a frame that a capture has cut nobody knows. */
static __always_inline int is_malformed(const struct __sk_buff *skb, int reason)
{
	return 1 << reason & MALFORMED && is_captured(skb, frame_length(skb));
}

/* PARSED, or the reason why the packet is none of ours. */
static __always_inline int parse(struct __sk_buff *skb, struct packet *p, int dir)
{
	return parse_plain(skb, p, dir) ? PARSED : parse_other(skb, p, dir);
}

#endif
