/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What a direction's first payload begins, for agents that keep no byte of it. The twin of Classify in
 * correlator/flow/payload.go, which defines the kinds; a test compares the two.
 */
#ifndef FIVETUPLE_KIND_H
#define FIVETUPLE_KIND_H

#include "parse.h"

/* Set when the program is loaded: records have the kind of the first payload, and no byte of it. */
const volatile __u8 first_payload_off = 0;

#define FIRST_BYTES 16

struct beginning {
	union {
		__u8 byte[FIRST_BYTES];
		__u64 word[FIRST_BYTES / 8]; /* so that no store is smaller than what may lie on the stack before it */
	};
};

/* What a byte can be in a request line (RFC 9110, 5.6.2; RFC 9112, 2.2). */
#define IN_TOKEN 1
#define IN_NEWLINE 2
#define IN_SPACE 4
#define IN_CAPITAL 8

static const __u8 uses[256] = {
    ['\r'] = IN_NEWLINE,      ['\n'] = IN_NEWLINE,       [' '] = IN_SPACE,
    ['!'] = IN_TOKEN,         ['#' ... '\''] = IN_TOKEN, ['*' ... '+'] = IN_TOKEN,
    ['-' ... '.'] = IN_TOKEN, ['0' ... '9'] = IN_TOKEN,  ['A' ... 'Z'] = IN_TOKEN | IN_CAPITAL,
    ['^' ... 'z'] = IN_TOKEN, ['|'] = IN_TOKEN,          ['~'] = IN_TOKEN,
};

/* 1 if the bytes begin with TEXT, a literal. */
#define STARTS(b, length, text) ((length) >= sizeof(text) - 1 && !__builtin_memcmp((b)->byte, text, sizeof(text) - 1))

/* Which bytes are of each use: bit I is byte I's. */
struct use_walk {
	__u64 word[2]; /* the bytes from the next one on */
	__u32 newlines;
	__u32 tokens;
	__u32 spaces;
	__u32 capitals;
};

static long walk_use(__u32 round, struct use_walk *w)
{
	__u8 use = uses[w->word[0] & 0xff];
	w->newlines |= (__u32) !!(use & IN_NEWLINE) << round;
	w->tokens |= (__u32) !!(use & IN_TOKEN) << round;
	w->spaces |= (__u32) !!(use & IN_SPACE) << round;
	w->capitals |= (__u32) !!(use & IN_CAPITAL) << round;
	w->word[0] = w->word[0] >> 8 | w->word[1] << 56;
	w->word[1] >>= 8;
	return GO_ON;
}

/* 1 if the bytes may begin a request line: empty lines, a token, a space, which may be behind the sixteenth byte. */
static __always_inline int is_request_line(const struct use_walk *w)
{
	__u32 start = ~w->newlines & (w->newlines + 1); /* the first byte that ends no line */
	__u32 end = (w->tokens + start) & ~w->tokens;   /* the first behind the token: the carry runs through it */
	return end != start && (w->spaces & end || end == 1 << FIRST_BYTES);
}

/* LENGTH: 1 to 16. */
static __always_inline enum payload kind(const struct beginning *b, __u32 length)
{
	if (STARTS(b, length, "PRI * HTTP/2.0\r\n"))
		return PAYLOAD_HTTP2;
	if (STARTS(b, length, "\x16\x03") && length >= 3 && b->byte[2] <= 4)
		return PAYLOAD_TLS;
	if (STARTS(b, length, "PROXY "))
		return PAYLOAD_PROXY_V1;
	if (STARTS(b, length, "\r\n\r\n\x00\r\nQUIT\n"))
		return PAYLOAD_PROXY_V2;
	if (STARTS(b, length, "HTTP/1.1 101"))
		return PAYLOAD_SWITCHED;
	struct use_walk w = {.word = {b->word[0], b->word[1]}};
	bpf_loop(length, walk_use, &w, 0);
	if (is_request_line(&w))
		return PAYLOAD_HTTP1;
	if (length < 8 && w.capitals == (1 << length) - 1)
		return PAYLOAD_METHOD;
	return PAYLOAD_OTHER;
}

/* The kind of what a record has, or is to have, in first_payload. A function that the verifier looks at once. */
__noinline int kind_of(const struct beginning *b, __u32 length)
{
	if (!b || !length || length > FIRST_BYTES)
		return PAYLOAD_NONE;
	return kind(b, length);
}

/* The kind of LENGTH bytes, 1 to 16, at an offset of the packet; PAYLOAD_NONE if they are not there. */
__noinline int load_kind(struct __sk_buff *skb, __u32 offset, __u32 length)
{
	struct beginning b = {};
	/* For the verifier: a comparison would be with length - 1, of which Linux 6.1 does not conclude that length is
	 * not 0. */
	length = ((length - 1) & (FIRST_BYTES - 1)) + 1;
	if (bpf_skb_load_bytes(skb, offset, &b, length))
		return PAYLOAD_NONE;
	return kind(&b, length);
}

#endif
