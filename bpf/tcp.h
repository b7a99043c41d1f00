/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * From a segment to its connection's entry. A SYN enters the half-open table only. The entry moves to the flow table
 * with the first rx segment without RST whose acknowledgement lies in [tx ISN + 1, tx highest], which only somebody who
 * saw this host's SYN or SYN-ACK can send: so a SYN flood, spoofed or not, evicts nobody's record.
 */
#ifndef FIVETUPLE_TCP_H
#define FIVETUPLE_TCP_H

#include "lock.h"
#include "maps.h"
#include "exchange.h"
#include "rtt.h"
#include "sack.h"
#include "sources.h"

/* Set when the program is loaded: records also where this host has no socket (forwarded traffic, replays). */
const volatile __u8 midstream_any = 0;

/* A new entry is locked by whoever inserts it, until it is filled in. */
static const volatile struct flow_record blank = {.conn = {.lock = 1}};

#define TCP_ESTABLISHED_STATE 1
#define TCP_SYN_SENT_STATE 2
#define TCP_SYN_RECV_STATE 3
#define TCP_FIN_WAIT1_STATE 4
#define TCP_FIN_WAIT2_STATE 5
#define TCP_CLOSE_WAIT_STATE 8
#define TCP_LAST_ACK_STATE 9
#define TCP_CLOSING_STATE 11

/* 1 if the socket is one of an established connection; a listener's and TIME_WAIT are not. */
static __always_inline int is_connected(__u32 state)
{
	return 1 << state & (1 << TCP_ESTABLISHED_STATE | 1 << TCP_FIN_WAIT1_STATE | 1 << TCP_FIN_WAIT2_STATE |
			     1 << TCP_CLOSE_WAIT_STATE | 1 << TCP_LAST_ACK_STATE | 1 << TCP_CLOSING_STATE);
}

/* 1 if the socket is one that has sent a SYN, and may be answered by a SYN-ACK. */
static __always_inline int is_opening(__u32 state)
{
	return state == TCP_SYN_SENT_STATE || state == TCP_SYN_RECV_STATE || is_connected(state);
}

/* The state of the socket that the packet is for; 0: there is none. A function that the verifier looks at once. */
__noinline int socket_state(struct __sk_buff *skb, const struct packet *p)
{
	if (!p)
		return 0;
	struct bpf_sock_tuple t = {};
	__u32 size = p->ipv4 ? sizeof(t.ipv4) : sizeof(t.ipv6);

	if (p->ipv4) {
		t.ipv4.saddr = ((__u32 *)p->key.remote)[3];
		t.ipv4.daddr = ((__u32 *)p->key.local)[3];
		t.ipv4.sport = bpf_htons(p->key.remote_port);
		t.ipv4.dport = bpf_htons(p->key.local_port);
	} else {
		__builtin_memcpy(t.ipv6.saddr, p->key.remote, 16);
		__builtin_memcpy(t.ipv6.daddr, p->key.local, 16);
		t.ipv6.sport = bpf_htons(p->key.remote_port);
		t.ipv6.dport = bpf_htons(p->key.local_port);
	}
	struct bpf_sock *sk = bpf_skc_lookup_tcp(skb, &t, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	int state = sk->state;
	bpf_sk_release(sk);
	return state;
}

/* 1 if the direction's sequence becomes known with the segment, or starts anew before its exchanges are rolled over. */
static __always_inline int starts_sequence(const struct direction *d, const struct packet *p)
{
	if (p->flags & TCP_RST)
		return 0;
	return !(d->known & KNOWN_SEQ) || (p->flags & TCP_SYN && !(d->known & KNOWN_ISN && d->isn == p->seq));
}

/* Counts a segment on a connection of the flow table. The caller holds the lock. */
static __always_inline int count_on_flow(struct __sk_buff *skb, struct flow_record *r, const struct packet *p, int dir)
{
	struct direction *d = &r->conn.dir[dir];
	struct running before = running(d);
	struct news news = {};

	int stray = is_forged(&r->conn, p, dir);
	if (!own_interface(&r->conn, p, dir, skb->ifindex))
		return OTHER_INTERFACE;
	if (stray) {
		count_stray(&r->conn, p, dir);
		return RECORDED_FLOW;
	}
	if (starts_sequence(d, p))
		start_sequence(r, dir, p->seq + !!(p->flags & TCP_SYN));
	count_segment(skb, &r->conn, p, dir, 1, &news);
	if (p->payload)
		take_exchange(r, p, dir, &news, &before);
	take_round_trip(&r->rtt, &r->conn, p, dir, &news);
	if (dir == RX && may_report(r, p))
		take_duplicates(skb, r, p);
	if (news.quarter && d->holes)
		drop_far_holes(d, &p->key, dir);
	return RECORDED_FLOW;
}

/*
 * The same for what comes by a global function below: compiled once for each direction, so that its callers share
 * the code and have the stack to themselves. Static, so that the verifier knows whose memory the record is.
 */
static __noinline int count_rare_rx(struct __sk_buff *skb, struct flow_record *r, const struct packet *p)
{
	return count_on_flow(skb, r, p, RX);
}

static __noinline int count_rare_tx(struct __sk_buff *skb, struct flow_record *r, const struct packet *p)
{
	return count_on_flow(skb, r, p, TX);
}

static __always_inline int count_rare(struct __sk_buff *skb, struct flow_record *r, const struct packet *p, int dir)
{
	return dir == RX ? count_rare_rx(skb, r, p) : count_rare_tx(skb, r, p);
}

/* The entry was removed, and perhaps used again, between the look-up and the lock. */
#define ELSEWHERE (-1)

/* Locks an entry that was looked up: PARSED, ELSEWHERE, or CONTENDED. */
static __always_inline int take(struct conn *c, const struct packet *p)
{
	if (!lock(&c->lock))
		return c->tag == tag(p) ? CONTENDED : ELSEWHERE;
	if (c->tag == tag(p))
		return PARSED;
	unlock(&c->lock);
	return ELSEWHERE;
}

/* RARE: it comes by a global function. */
static __always_inline int segment_on_flow(struct __sk_buff *skb, struct flow_record *r, const struct packet *p,
					   int dir, int rare)
{
	int reason = take(&r->conn, p);
	if (reason == CONTENDED)
		leave_late(&r->conn.dir[dir], p);
	if (reason != PARSED)
		return reason;
	reason = rare ? count_rare(skb, r, p, dir) : count_on_flow(skb, r, p, dir);
	unlock(&r->conn.lock);
	return reason;
}

/*
 * The record of the packet's 5-tuple, locked and, if it is new, empty but for its tag; or 0 with the reason. KEY is the
 * packet's, in this function's own stack: before Linux 6.2 the verifier takes no key from behind a pointer that a
 * global function got.
 */
static __always_inline struct flow_record *take_record(const struct packet *p, const struct flow_key *key, int *reason)
{
	struct flow_record *r;
	if (!bpf_map_update_elem(&flows, key, (void *)&blank, BPF_NOEXIST)) {
		COUNT_TABLE(TABLE_FLOWS, inserted);
		r = bpf_map_lookup_elem(&flows, key);
		if (r)
			r->conn.tag = tag(p);
		return r;
	}
	r = bpf_map_lookup_elem(&flows, key);
	*reason = r ? CONTENDED : TABLE_FULL;
	if (!r)
		COUNT_TABLE(TABLE_FLOWS, refused);
	return r && take(&r->conn, p) == PARSED ? r : 0;
}

/* 1 if the segment completes the handshake of a half-open connection. */
static __always_inline int completes(const struct conn *half, const struct packet *p, int dir)
{
	const struct direction *tx = &half->dir[TX];
	const struct direction *rx = &half->dir[RX];

	if (!(p->flags & TCP_ACK) || p->flags & TCP_RST)
		return 0;
	if (dir == RX)
		return tx->known & KNOWN_ISN && before(tx->isn, p->ack) && !before(tx->seq_high, p->ack);
	/* TCP Fast Open (RFC 7413, 4.1.2): this host's SYN-ACK acknowledges the data of the SYN. */
	return p->flags & TCP_SYN && rx->known & KNOWN_ISN && before(rx->isn + 1, p->ack);
}

/* The data of a SYN is exchange 1. */
static __always_inline void take_syn_data(struct flow_record *r)
{
	const struct direction *rx = &r->conn.dir[RX];
	struct running none = {};

	if (!rx->data_packets || !(rx->known & KNOWN_ISN))
		return;
	struct exchange *e = &r->ring[1];
	r->exchange = 1;
	start_exchange(e, &none, rx->isn + 1, &r->conn.dir[TX]);
	if (r->conn.syn) {
		set_stamp(&e->first[RX], r->conn.syn);
		set_stamp(&e->last[RX], r->conn.syn);
	}
	e->rx_min = e->rx_max = at_most_u16((rx->payload + rx->data_headers) / rx->data_packets);
}

/* Where a direction's payload begins; 0: not known yet. */
static __always_inline __u32 first_byte(const struct direction *d)
{
	return d->known & KNOWN_ISN ? d->isn + 1 : d->known & KNOWN_SEQ ? d->data_high : 0;
}

/* Starts a record from its half-open entry, also over the record of the 5-tuple's last generation: counts go with it.
 */
static __always_inline void fill_record(struct flow_record *r, const struct conn *half)
{
	/* All but the lock word, which must not be even on the way. */
	__u32 skipped = sizeof(r->conn.lock);
	__builtin_memcpy((char *)r + skipped, (const char *)half + skipped, sizeof(r->conn) - skipped);
	__builtin_memset(&r->rtt, 0, sizeof(*r) - sizeof(r->conn));
	r->ring[0].seq[RX] = first_byte(&half->dir[RX]);
	r->ring[0].seq[TX] = first_byte(&half->dir[TX]);
	r->conn.state = STATE_OPEN;
	r->conn.origin = ORIGIN_HANDSHAKE;
	take_syn_data(r);
}

/* The record's last generation takes its holes along. */
static __always_inline void drop_all_holes(struct flow_record *r, const struct flow_key *key)
{
	if (r->conn.dir[RX].holes)
		drop_holes(&r->conn.dir[RX], key, RX);
	if (r->conn.dir[TX].holes)
		drop_holes(&r->conn.dir[TX], key, TX);
}

/*
 * Moves a locked half-open entry to the flow table and counts the segment there. A writer that waits for the entry's
 * lock meanwhile finds STATE_PROMOTED and looks in the flow table.
 */
static __always_inline int promote(struct __sk_buff *skb, struct handshake *h, const struct packet *p,
				   const struct flow_key *key, int dir)
{
	int reason = CONTENDED;
	struct flow_record *r = take_record(p, key, &reason);
	if (!r)
		return reason;
	drop_all_holes(r, key);
	fill_record(r, &h->conn);
	r->rtt = h->rtt;
	reason = count_rare(skb, r, p, dir);
	if (!h->other[TX].time) /* Karn: this host's SYN-ACK went out once */
		take_handshake_round_trip(r);
	h->conn.state = STATE_PROMOTED;
	unlock(&r->conn.lock);
	count_source_flow(p, h->conn.dir[RX].known & KNOWN_OPENER);
	return reason;
}

/* A connection older than the program. */
static __always_inline int midstream_segment(struct __sk_buff *skb, const struct packet *p, const struct flow_key *key,
					     int dir)
{
	if (!midstream_any && (p->flags & TCP_RST || !is_connected(socket_state(skb, p))))
		return NO_CONNECTION;
	int reason = CONTENDED;
	struct flow_record *r = take_record(p, key, &reason);
	if (!r)
		return reason;
	int begun = !r->conn.id;
	if (begun) {
		r->conn.id = p->now;
		r->conn.state = STATE_OPEN;
		r->conn.origin = ORIGIN_MIDSTREAM;
	}
	reason = count_rare(skb, r, p, dir);
	unlock(&r->conn.lock);
	if (begun)
		count_source_flow(p, 0);
	return reason;
}

/* The half-open entry stands for another connection than until now: its counts go on. */
static __always_inline void restart(struct handshake *h, __u64 now)
{
	struct conn *c = &h->conn;
	h->rtt.sent = h->rtt.newest = 0;
	c->id = now;
	c->syn = c->syn_ack = c->ack = 0;
	c->dir[RX].known = c->dir[TX].known = 0;
	c->dir[RX].ifindex = c->dir[TX].ifindex = 0;
}

static __always_inline void keep_syn(struct other_syn *o, const struct direction *d, __u64 time)
{
	*o = (struct other_syn){time, d->isn, d->syn_mss, d->syn_wscale, d->syn_options};
}

/* Makes a SYN that was seen the direction's own. */
static __always_inline void use_syn(struct direction *d, const struct other_syn *o)
{
	d->isn = o->isn;
	d->seq_high = d->data_high = o->isn + 1;
	d->syn_mss = o->mss;
	d->syn_wscale = o->wscale;
	d->syn_options = o->options;
	d->known |= KNOWN_ISN | KNOWN_SEQ;
}

/* Makes the other SYN-ACK the direction's own, and the other way round. */
static __always_inline void swap_syn_ack(struct handshake *h, int dir)
{
	struct direction *d = &h->conn.dir[dir];
	struct other_syn *o = &h->other[dir], own;

	keep_syn(&own, d, h->conn.syn_ack);
	use_syn(d, o);
	h->conn.syn_ack = o->time;
	h->rtt.sent = h->rtt.newest = 0;
	*o = own;
}

/* 1 if the segment acknowledges the direction's SYN, with all or a part of what was sent after it, or nothing of that.
 */
static __always_inline int acknowledges(const struct direction *d, const struct packet *p)
{
	return before(d->isn, p->ack) && !before(d->known & KNOWN_ISN ? d->seq_high : d->isn + 1, p->ack);
}

/*
 * A SYN with another ISN. This host's own is a new connection's. The peer's is as long as this host has answered none;
 * else it is a stray, which this host answers by an ACK (RFC 9293, 3.10.7.4), or, if it has forgotten the first one, by
 * a SYN-ACK: see choose_syn(). 1 if it is one.
 */
static __always_inline int take_other_syn(struct handshake *h, const struct packet *p, int dir)
{
	struct conn *c = &h->conn;
	struct other_syn *o = &h->other[dir], none = {};

	if (dir == RX && c->dir[TX].known & KNOWN_ISN) {
		if (!o->time || o->isn != p->seq)
			*o = (struct other_syn){.time = p->now, .isn = p->seq};
		return 1;
	}
	if (dir == RX)
		keep_syn(o, &c->dir[RX], c->syn);
	else
		*o = none;
	h->other[!dir] = none;
	restart(h, p->now);
	return 0;
}

/* This host's SYN-ACK says which of the peer's SYNs counts: perhaps another than the entry's, or one that was not seen.
 */
static __always_inline void choose_syn(struct handshake *h, const struct packet *p)
{
	struct conn *c = &h->conn;
	struct direction *rx = &c->dir[RX];
	struct other_syn *o = &h->other[RX], chosen = *o, none = {};

	if (!(rx->known & (KNOWN_ISN | KNOWN_ACKED_ISN)) || acknowledges(rx, p))
		return;
	if (rx->known & KNOWN_ISN)
		keep_syn(o, rx, c->syn);
	else
		*o = none;
	h->other[TX] = none;
	restart(h, p->now);
	if (chosen.time && chosen.isn + 1 == p->ack) {
		use_syn(rx, &chosen);
		rx->known |= KNOWN_OPENER;
		c->id = c->syn = chosen.time;
	}
}

/* A SYN-ACK with another ISN than the last one. The first and the last are kept; the third step says which counts. */
static __always_inline void take_other_syn_ack(struct handshake *h, const struct packet *p, int dir)
{
	struct conn *c = &h->conn;
	struct direction *d = &c->dir[dir];
	struct other_syn *o = &h->other[dir];

	if (!c->syn_ack || d->known & KNOWN_OPENER) {
		d->known &= ~KNOWN_OPENER; /* its SYN was another one's */
		return;
	}
	if (o->time && o->isn == p->seq) {
		swap_syn_ack(h, dir);
		return;
	}
	if (!o->time)
		keep_syn(o, d, c->syn_ack);
	c->syn_ack = 0;
	h->rtt.sent = h->rtt.newest = 0;
}

/* Looks at a segment with the eyes of whom it is for, before it is counted; 1 if it is a stray. */
static __always_inline int settle(struct handshake *h, const struct packet *p, int dir)
{
	struct direction *d = &h->conn.dir[dir], *other = &h->conn.dir[!dir];
	__u32 kind = p->flags & (TCP_SYN | TCP_ACK | TCP_RST);

	if (kind == TCP_ACK && h->other[!dir].time && h->other[!dir].isn + 1 == p->ack &&
	    !(other->known & KNOWN_OPENER) && !acknowledges(other, p))
		swap_syn_ack(h, !dir);
	if (!(p->flags & TCP_SYN))
		return 0;
	if (!(p->flags & TCP_ACK))
		return d->known & (KNOWN_ISN | KNOWN_ACKED_ISN) && d->isn != p->seq && take_other_syn(h, p, dir);
	if (kind != (TCP_SYN | TCP_ACK))
		return 0;
	if (dir == TX)
		choose_syn(h, p);
	else if (other->known & KNOWN_ISN && !acknowledges(other, p))
		return 1; /* it answers no SYN of this host's: it is dropped (RFC 9293, 3.10.7.3) */
	if (d->known & KNOWN_ISN && d->isn != p->seq)
		take_other_syn_ack(h, p, dir);
	return 0;
}

/* 1 if the peer's SYN-ACK, of which there is no half-open entry, answers no SYN of this host: somebody forged that. */
static __always_inline int is_unsolicited(struct __sk_buff *skb, const struct packet *p, const struct flow_key *key,
					  int dir)
{
	return !midstream_any && dir == RX && (p->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == (TCP_SYN | TCP_ACK) &&
	       !bpf_map_lookup_elem(&flows, key) && !is_opening(socket_state(skb, p));
}

/* The half-open entry of the packet's 5-tuple, locked; a SYN makes one; or 0 with the reason. */
static __always_inline struct handshake *take_half_open(struct __sk_buff *skb, const struct packet *p,
							const struct flow_key *key, int dir, int *reason)
{
	struct handshake *h = bpf_map_lookup_elem(&half_open, key);
	*reason = NO_CONNECTION;
	if (!h) {
		if (!(p->flags & TCP_SYN))
			return 0;
		if (is_unsolicited(skb, p, key, dir)) {
			*reason = UNSOLICITED_SYN_ACK;
			return 0;
		}
		int inserted = !bpf_map_update_elem(&half_open, key, (void *)&blank, BPF_NOEXIST);
		h = bpf_map_lookup_elem(&half_open, key);
		if (inserted)
			COUNT_TABLE(TABLE_HALF_OPEN, inserted);
		else if (!h)
			COUNT_TABLE(TABLE_HALF_OPEN, refused);
		*reason = h ? CONTENDED : TABLE_FULL;
		if (inserted && h) {
			h->conn.tag = tag(p);
			h->conn.id = p->now;
			return h;
		}
	}
	if (!h)
		return 0;
	*reason = CONTENDED;
	return take(&h->conn, p) == PARSED ? h : 0;
}

/* The segment completes the handshake. No reason. */
#define COMPLETES (-2)

/* Counts a segment on a locked half-open entry: a reason, or COMPLETES and nothing is counted yet. */
static __always_inline int count_on_half_open(struct __sk_buff *skb, struct handshake *h, const struct packet *p,
					      int dir)
{
	struct news news = {};
	int stray = settle(h, p, dir) || is_forged(&h->conn, p, dir);

	if (stray && h->conn.dir[dir].ifindex && h->conn.dir[dir].ifindex != skb->ifindex)
		return OTHER_INTERFACE;
	if (stray) {
		count_stray(&h->conn, p, dir);
		return RECORDED_HALF_OPEN;
	}
	if (!own_interface(&h->conn, p, dir, skb->ifindex))
		return OTHER_INTERFACE;
	if (completes(&h->conn, p, dir))
		return COMPLETES;
	count_segment(skb, &h->conn, p, dir, 0, &news);
	if (dir == TX)
		take_round_trip(&h->rtt, &h->conn, p, dir, &news);
	return RECORDED_HALF_OPEN;
}

/* Functions of their own for the stack's sake, as count_rare_rx() is, which stands in the same place of the chain. */
static __noinline int count_half_open_rx(struct __sk_buff *skb, struct handshake *h, const struct packet *p)
{
	return count_on_half_open(skb, h, p, RX);
}

static __noinline int count_half_open_tx(struct __sk_buff *skb, struct handshake *h, const struct packet *p)
{
	return count_on_half_open(skb, h, p, TX);
}

/* 1 if the segment belongs to the connection of the record, not to a new one that is being opened on its 5-tuple. */
static __always_inline int belongs(const struct flow_record *r, const struct packet *p, int dir)
{
	const struct direction *d = &r->conn.dir[dir];
	if (!(p->flags & TCP_SYN))
		return !r->reopened;
	/* Who has closed opens a new one, with whichever ISN; a SYN that was not seen yet was captured late. */
	if (r->conn.state == STATE_CLOSED && (r->reopened || (d->known & KNOWN_ISN && !(p->flags & TCP_ACK))))
		return 0;
	return d->known & (KNOWN_ISN | KNOWN_ACKED_ISN) && d->isn == p->seq;
}

/*
 * Starts an entry anew whose connection has moved to the flow table. It was not deleted there and then, because the
 * next insertion takes the memory at once, from under whoever still waits for its lock.
 */
static __noinline void renew_half_open(struct handshake *h, __u64 now)
{
	__u32 kept = __builtin_offsetof(struct conn, state); /* lock and tag */
	__builtin_memset((char *)h + kept, 0, sizeof(*h) - kept);
	h->conn.id = now;
}

/* 1 if the segment ends the peer's SYN, which this host has not answered by one: it is refused, or taken back. */
static __always_inline int ends_syn(const struct conn *half, const struct packet *p, int dir)
{
	const struct direction *rx = &half->dir[RX];
	__u32 number = dir == RX ? p->seq : p->ack;
	return p->flags & TCP_RST && rx->known & KNOWN_ISN && before(rx->isn, number) && !before(rx->seq_high, number);
}

static __always_inline __u32 distance(__u32 a, __u32 b)
{
	return before(a, b) ? b - a : a - b;
}

/* 1 if the segment goes on with the closed connection, not with the one that is being opened. */
static __always_inline int is_nearer(const struct direction *closed, const struct direction *opened,
				     const struct packet *p)
{
	if (!(opened->known & KNOWN_SEQ))
		return !(p->flags & TCP_RST); /* which refuses the new one */
	return closed->known & KNOWN_SEQ && distance(p->seq, closed->seq_high) < distance(p->seq, opened->seq_high);
}

/*
 * 1 if the segment is not of the connection that the half-open entry stands for, but of one that is in the flow table,
 * or should be: an older one, or this one after its promotion. While this host has not answered a SYN, nobody sends
 * anything but a RST; payload of an older one may be the first that is seen of it: so a forged SYN hides no connection
 * that lives, and none that ends.
 */
static __always_inline int is_elsewhere(const struct conn *half, const struct flow_record *r, const struct packet *p,
					int dir)
{
	if (p->flags & TCP_SYN)
		return half->state == STATE_PROMOTED && r && belongs(r, p, dir);
	if (half->state == STATE_PROMOTED)
		return 1;
	if (!(half->dir[TX].known & KNOWN_ISN))
		return r ? !ends_syn(half, p, dir) : p->payload && !(p->flags & TCP_RST);
	if (!r || completes(half, p, dir))
		return 0;
	return r->conn.state == STATE_OPEN || is_nearer(&r->conn.dir[dir], &half->dir[dir], p);
}

/* A segment without a record of its own yet: of a handshake, of the 5-tuple's next generation, or midstream. */
static __always_inline int segment_without_record(struct __sk_buff *skb, const struct packet *p, int dir)
{
	int reason;
	const struct flow_key own = p->key, *key = &own;
	struct handshake *h = take_half_open(skb, p, key, dir, &reason);
	if (!h && reason != NO_CONNECTION)
		return reason;
	struct flow_record *r = bpf_map_lookup_elem(&flows, key);

	if (h && is_elsewhere(&h->conn, r, p, dir)) {
		unlock(&h->conn.lock);
		h = 0;
	}
	if (!h) {
		reason = r ? segment_on_flow(skb, r, p, dir, 1) : midstream_segment(skb, p, key, dir);
		return reason == ELSEWHERE ? CONTENDED : reason;
	}
	if (r && p->flags & TCP_SYN && take(&r->conn, p) == PARSED) {
		r->reopened = 1;
		unlock(&r->conn.lock);
	}
	if (h->conn.state == STATE_PROMOTED)
		renew_half_open(h, p->now);
	reason = dir == RX ? count_half_open_rx(skb, h, p) : count_half_open_tx(skb, h, p);
	if (reason == COMPLETES)
		reason = promote(skb, h, p, key, dir);
	unlock(&h->conn.lock);
	return reason;
}

ONE_FOR_EACH_DIRECTION(handshake_segment, segment_without_record, const struct packet)

/* Counts a TCP segment and says where, or why nowhere. */
static __always_inline int tcp_segment(struct __sk_buff *skb, const struct packet *p, int dir)
{
	if (dir == RX && (p->flags & TCP_RST || (p->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN))
		count_source_segment(p);
	struct flow_record *r = bpf_map_lookup_elem(&flows, &p->key);
	if (r && belongs(r, p, dir)) {
		int reason = segment_on_flow(skb, r, p, dir, 0);
		if (reason != ELSEWHERE)
			return reason;
	}
	return handshake_segment(skb, p, dir);
}

#endif
