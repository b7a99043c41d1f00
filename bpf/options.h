/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* TCP options: those of a SYN, as they came (RFC 9293, 3.2; RFC 7323; RFC 2018), and where one of a kind lies. */
#ifndef FIVETUPLE_OPTIONS_H
#define FIVETUPLE_OPTIONS_H

#include "parse.h"

#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_MSS 2
#define OPTION_WSCALE 3
#define OPTION_SACK 4
#define OPTION_SACK_BLOCKS 5
#define OPTION_TIMESTAMPS 8
#define MAX_OPTION_BYTES 40

struct option {
	__u8 kind;
	__u8 length;
	__u8 value[2];
};

/* What the options say: in the layout of direction.syn_*. */
#define SYN_FACTS(mss, wscale, options) ((mss) | (wscale) << 16 | (options) << 24)

/* Adds what an option says. Of two of a kind the last counts, as in Linux; one of a wrong length says nothing. */
static __always_inline __u32 add_facts(__u32 facts, const struct option *o)
{
	switch (o->kind) {
	case OPTION_MSS:
		if (o->length == 4)
			facts =
			    (facts & ~SYN_FACTS(0xffff, 0, 0)) | SYN_FACTS(o->value[0] << 8 | o->value[1], 0, SYN_MSS);
		break;
	case OPTION_WSCALE:
		if (o->length == 3)
			facts = (facts & ~SYN_FACTS(0, 0xff, 0)) | SYN_FACTS(0, o->value[0], SYN_WSCALE);
		break;
	case OPTION_SACK:
		if (o->length == 2)
			facts |= SYN_FACTS(0, 0, SYN_SACK);
		break;
	case OPTION_TIMESTAMPS:
		if (o->length == 10)
			facts |= SYN_FACTS(0, 0, SYN_TIMESTAMPS);
		break;
	}
	return facts;
}

/* 1 if the option's value, of one or two bytes, is part of what it says. */
static __always_inline int has_value(const struct option *o)
{
	return (o->kind == OPTION_MSS && o->length == 4) || (o->kind == OPTION_WSCALE && o->length == 3);
}

struct option_walk {
	struct __sk_buff *skb;
	__u32 offset; /* of the next option */
	__u32 end;
	__u32 facts;
	__u32 kind;  /* looked for; OPTION_END: none */
	__u32 found; /* its offset << 8 | its length; 0: not yet */
};

static long walk_option(__u32 round, struct option_walk *w)
{
	struct option o = {};
	if (w->offset >= w->end || load(w->skb, w->offset, &o.kind, sizeof(o.kind)) || o.kind == OPTION_END)
		return STOP;
	if (o.kind == OPTION_NOP) {
		w->offset++;
		return GO_ON;
	}
	if (load(w->skb, w->offset, &o, 2) || o.length < 2 || w->offset + o.length > w->end)
		return STOP;
	if (o.kind == w->kind) {
		w->found = w->offset << 8 | o.length;
		return STOP;
	}
	if (has_value(&o) && load(w->skb, w->offset, &o, o.length))
		return STOP;
	w->facts = add_facts(w->facts, &o);
	w->offset += o.length;
	return GO_ON;
}

/*
 * The facts of the options between OFFSET and END. A malformed list ends where it is malformed; what came before it
 * counts.
 */
__noinline __u32 walk_options(struct __sk_buff *skb, __u32 offset, __u32 end)
{
	struct option_walk w = {.skb = skb, .offset = offset, .end = end};
	bpf_loop(MAX_OPTION_BYTES, walk_option, &w, 0);
	return w.facts;
}

/* The first option of a kind between OFFSET and END: its offset << 8 | its length; 0: there is none. */
__noinline __u32 find_option(struct __sk_buff *skb, __u32 offset, __u32 end, __u32 kind)
{
	struct option_walk w = {.skb = skb, .offset = offset, .end = end, .kind = kind};
	bpf_loop(MAX_OPTION_BYTES, walk_option, &w, 0);
	return w.found;
}

static __always_inline void take_syn_options(struct __sk_buff *skb, const struct packet *p, struct direction *d)
{
	__u32 facts = walk_options(skb, p->l4 + sizeof(struct tcphdr), p->data);
	d->syn_mss = facts;
	d->syn_wscale = facts >> 16;
	d->syn_options = facts >> 24;
}

#endif
