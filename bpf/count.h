/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What one segment adds to its direction of a connection. The caller holds the connection's lock. */
#ifndef FIVETUPLE_COUNT_H
#define FIVETUPLE_COUNT_H

#include "holes.h"
#include "kind.h"
#include "options.h"

/* End of the payload in sequence space: a SYN comes before it, a FIN behind. */
static __always_inline __u32 data_end(const struct packet *p)
{
	return p->seq + !!(p->flags & TCP_SYN) + p->payload;
}

static __always_inline __u32 data_bytes(const struct packet *p)
{
	return p->payload + p->segments * p->headers;
}

#define ACKED_SHIFT 10

/* What the segment brought that was not there before. */
struct news {
	__u8 payload;       /* payload above the highest */
	__u8 retransmitted; /* a sequence below the highest */
	__u8 quarter;       /* the highest has passed a quarter of the sequence space */
	__u8 advanced;      /* a sequence above the highest */
	__u32 data_start;   /* the highest payload sequence before it, which is where the new payload starts */
};

static __always_inline void take_syn(struct __sk_buff *skb, struct direction *d, const struct packet *p)
{
	take_syn_options(skb, p, d);
	d->isn = p->seq;
	d->seq_high = p->seq; /* restarts, also where no sequence was known */
	d->data_high = p->seq + 1;
	d->known = (d->known | KNOWN_ISN | KNOWN_SEQ) & ~KNOWN_LACKING;
	d->ttl = p->ttl;
}

/* TRACKED: the connection is in the flow table, so that its holes are remembered. */
static __always_inline void take_sequence(struct __sk_buff *skb, struct direction *d, const struct packet *p, int dir,
					  int tracked, struct news *news)
{
	__u32 length = sequence_length(p);
	int began = 0;

	if (p->flags & TCP_RST)
		return;
	if (p->flags & TCP_SYN && !(d->known & KNOWN_ISN && d->isn == p->seq)) {
		if (tracked && d->holes)
			drop_holes(d, &p->key, dir);
		take_syn(skb, d, p);
	} else if (!(d->known & KNOWN_SEQ)) {
		/* Perhaps sent again, or a keep-alive: more was sent before. */
		d->known |= KNOWN_SEQ | KNOWN_LACKING;
		d->seq_high = d->data_high = p->seq;
		began = 1;
	}
	if (length <= 1 && !(p->flags & (TCP_SYN | TCP_FIN)) && p->seq == d->seq_high - 1) {
		d->keep_alive++;
		return;
	}
	if (!length) {
		if (before(d->seq_high, p->seq))
			d->known |= KNOWN_LACKING;
		return;
	}
	if (p->seq != d->seq_high)
		news->retransmitted = take_disorder(d, p, dir, tracked);
	__u32 end = p->seq + length;
	int ahead = before(d->seq_high, end);
	if (ahead) {
		news->advanced = 1;
		news->quarter = !!((d->seq_high ^ end) & ~(FARTHEST_HOLE - 1));
		d->seq_high = end;
		if (d->known & KNOWN_LACKING && !began)
			d->known &= ~KNOWN_LACKING;
	}
	if (p->payload && before(d->data_high, data_end(p))) {
		news->payload = ahead; /* not behind a FIN that came early */
		news->data_start = d->data_high;
		d->data_high = data_end(p);
	}
}

static __always_inline void set_kind(struct direction *d, __u8 kind, __u8 length)
{
	__builtin_memset(d->first_payload, 0, sizeof(d->first_payload));
	d->first_payload[0] = kind;
	d->first_len = length;
	d->known |= KNOWN_KIND;
}

/* The first bytes of payload, at most 16; they may lie beyond the linear part, so they are copied by the helper. */
static __always_inline void take_first_payload(struct __sk_buff *skb, struct direction *d, const struct packet *p)
{
	__u32 length = p->payload;
	/* An agent that kept the bytes has begun this record. */
	if (first_payload_off && d->first_len && !(d->known & KNOWN_KIND))
		set_kind(d, kind_of((void *)d->first_payload, d->first_len), d->first_len);
	if (d->first_len || !length)
		return;
	if (length > sizeof(d->first_payload))
		length = sizeof(d->first_payload);
	if (!is_captured(skb, p->data + length)) {
		if (is_captured(skb, p->data + 1))
			length = skb->cb[1] - p->data;
		else
			return;
	}
	/* The verifier has lost the bounds by here: 1 to 16. */
	length = ((length - 1) & (sizeof(d->first_payload) - 1)) + 1;
	if (first_payload_off) {
		int kind = load_kind(skb, p->data, length);
		if (kind)
			set_kind(d, kind, length);
		return;
	}
	if (!bpf_skb_load_bytes(skb, p->data, d->first_payload, length))
		d->first_len = length;
}

/* Adds what a writer that met the lock too often has left. */
static __always_inline void fold_late(struct direction *d)
{
	if (!d->late)
		return;
	__u64 late = __sync_lock_test_and_set(&d->late, 0);
	__u32 packets = late >> 48, headers = late >> 25 & 0x7fffff, payload = late & 0x1ffffff;
	d->contended += packets;
	d->known |= KNOWN_LACKING;
	d->packets += packets;
	d->bytes += payload + headers;
	d->payload += payload;
}

static __always_inline void leave_late(struct direction *d, const struct packet *p)
{
	__u64 late = *(volatile __u64 *)&d->late;
	__u32 segments = p->segments > 0x7fff ? 0x7fff : p->segments;
	/* A field that is half full takes no more: the packet is in the reason `contended` alone. */
	if (late & LATE(1 << 15, 1 << 22, 1 << 24))
		return;
	__sync_fetch_and_add(&d->late, LATE(segments, segments * p->headers, p->payload));
}

/*
 * 0 if this direction counts on another interface: the first that saw it, until another brings payload or an
 * acknowledgement above the highest (a bond's fail-over, a new route).
 */
static __always_inline int own_interface(struct conn *c, const struct packet *p, int dir, __u32 ifindex)
{
	struct direction *d = &c->dir[dir];
	if (d->ifindex == ifindex)
		return 1;
	if (d->ifindex) {
		int ahead = d->known & KNOWN_SEQ && before(d->seq_high, p->seq + sequence_length(p));
		int acks = p->flags & TCP_ACK && d->known & KNOWN_ACK && before(d->ack_high, p->ack);
		if (!ahead && !acks)
			return 0;
		c->moved++;
	}
	d->ifindex = ifindex;
	return 1;
}

static __always_inline void count_bytes(struct conn *c, struct direction *d, const struct packet *p)
{
	d->packets += p->segments;
	d->bytes += data_bytes(p);
	d->payload += p->payload;
	if (p->payload) {
		d->data_packets += p->segments;
		d->data_headers += p->segments * p->headers;
	}
	c->last = p->now;
}

static __always_inline void count_packet(struct __sk_buff *skb, struct conn *c, struct direction *d,
					 const struct packet *p)
{
	fold_late(d);
	if (!d->packets)
		d->ttl = p->ttl;
	count_bytes(c, d, p);
	take_first_payload(skb, d, p);
}

/*
 * The peer's segment acknowledges more than this host is known to have sent. If all of that was seen, its receiver
 * drops the segment (RFC 9293, 3.10.7.4): then it loses its acknowledgement here. 1 if it was a SYN-ACK.
 */
__noinline int doubt(struct conn *c, struct packet *p)
{
	if (!c || !p)
		return 0;
	const struct direction *tx = &c->dir[TX];
	if ((tx->known & (KNOWN_SEQ | KNOWN_LACKING)) != KNOWN_SEQ || tx->late || tx->holes || tx->holes_forgotten)
		return 0;
	p->flags &= ~TCP_ACK;
	return !!(p->flags & TCP_SYN);
}

/* 1 if the segment is to be counted as a stray. It may lose its acknowledgement, see doubt(). This host is not doubted.
 */
static __always_inline int is_forged(struct conn *c, const struct packet *p, int dir)
{
	return dir == RX && p->flags & TCP_ACK && before(c->dir[TX].seq_high, p->ack) && doubt(c, (struct packet *)p);
}

/* Counts a SYN or SYN-ACK that its receiver drops: nothing but that it came. */
static __always_inline void count_stray(struct conn *c, const struct packet *p, int dir)
{
	struct direction *d = &c->dir[dir];
	count_bytes(c, d, p);
	d->flags |= p->flags & ~TCP_ACK;
}

static __always_inline void take_opening(struct conn *c, const struct packet *p, int dir)
{
	c->dir[dir].known |= KNOWN_OPENER;
	if (!c->syn)
		c->syn = p->now;
}

static __always_inline void take_syn_ack(struct conn *c, const struct packet *p, int dir)
{
	struct direction *other = &c->dir[!dir];
	if (!c->syn_ack)
		c->syn_ack = p->now;
	if (!(other->known & KNOWN_ISN)) { /* so that a SYN is known that was captured behind its answer */
		other->isn = p->ack - 1;
		other->known |= KNOWN_ACKED_ISN;
	}
}

/* Notes the handshake's times: the first SYN, the first SYN-ACK, the first acknowledgement of that. */
static __always_inline void take_handshake(struct conn *c, const struct packet *p, int dir)
{
	if (p->flags & TCP_RST)
		return;
	if (p->flags & TCP_SYN) {
		if (p->flags & TCP_ACK)
			take_syn_ack(c, p, dir);
		else
			take_opening(c, p, dir);
		return;
	}
	if (!c->syn_ack || c->ack || !(p->flags & TCP_ACK))
		return;
	const struct direction *other = &c->dir[!dir];
	/* A split handshake and a simultaneous open have no third step. */
	if (!(other->known & KNOWN_OPENER) && other->known & KNOWN_ISN && !before(p->ack, other->isn + 1))
		c->ack = p->now;
}

/* A window of fewer bytes holds up a sender of full segments. */
#define SMALL_WINDOW 4096

/*
 * Counts a segment of the peer's that says nothing but that its window, which was small, is at least twice as wide: a
 * reader that had fallen behind has room again (RFC 9293, 3.8.6.2.2).
 */
static __always_inline void take_window(struct conn *c, const struct packet *p)
{
	const struct direction *rx = &c->dir[RX];
	if ((p->flags & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK)) != TCP_ACK)
		return;
	if (!p->payload && rx->known & KNOWN_ACK && p->ack == rx->ack_high && p->window > 2 * c->rx_window &&
	    (__u32)c->rx_window << (rx->syn_wscale & 15) < SMALL_WINDOW && c->window_updates < 0xffff)
		c->window_updates++;
	c->rx_window = p->window;
}

static __always_inline void take_ack(struct conn *c, const struct packet *p, int dir)
{
	struct direction *d = &c->dir[dir];
	if (!(p->flags & TCP_ACK) || p->flags & TCP_RST)
		return;
	if (d->known & KNOWN_ACK && !before(d->ack_high, p->ack))
		return;
	if (!(d->known & KNOWN_ACK) || before(d->ack_high, c->dir[!dir].data_high))
		d->acked = p->now >> ACKED_SHIFT;
	d->ack_high = p->ack;
	d->known |= KNOWN_ACK;
}

/* TRACKED: the connection is in the flow table. */
static __always_inline void count_segment(struct __sk_buff *skb, struct conn *c, const struct packet *p, int dir,
					  int tracked, struct news *news)
{
	struct direction *d = &c->dir[dir];

	take_handshake(c, p, dir);
	count_packet(skb, c, d, p);
	take_sequence(skb, d, p, dir, tracked, news);
	/* The sender of a true RST sends nothing new after it: that one was forged. */
	if (news->payload && c->state == STATE_CLOSED && d->flags & TCP_RST)
		c->state = STATE_OPEN;
	d->flags |= p->flags;
	if (dir == RX)
		take_window(c, p);
	take_ack(c, p, dir);
	if (!p->window && !(p->flags & (TCP_SYN | TCP_FIN | TCP_RST)))
		d->zero_window += p->segments;
	if (c->state == STATE_OPEN && (p->flags & TCP_RST || (p->flags & TCP_FIN && c->dir[!dir].flags & TCP_FIN)))
		c->state = STATE_CLOSED;
}

#endif
