/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The record that the kernel keeps and user space reads. Its Go twin is correlator/flow/record.go; a test compares
 * every offset and size of the two. This header defines types only.
 *
 * Words: local and remote as seen from the host whose interface carries the program; rx toward it, tx from it.
 * Times are CLOCK_MONOTONIC nanoseconds. A segment is what one wire packet carries: a packet that segmentation offload
 * merged, or will split, counts as ceil(payload / gso_size) segments. Bytes are IP bytes: payload + segments x (IP +
 * TCP headers), without Ethernet, tags and padding.
 */
#ifndef FIVETUPLE_RECORD_H
#define FIVETUPLE_RECORD_H

#include <linux/types.h>

enum { RX, TX, DIRECTIONS };

/* The 5-tuple. IPv4 is kept v4-mapped (RFC 4291, 2.5.5.2). Addresses in network order, ports in host order. */
struct flow_key {
	__u8 local[16];
	__u8 remote[16];
	__u16 local_port;
	__u16 remote_port;
	__u8 proto; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 pad[3];
};

/* What one direction of a connection did. What every segment touches comes first, within 64 bytes. */
struct direction {
	__u64 packets; /* segments, pure ACKs too */
	__u64 bytes;
	__u64 payload;          /* bytes behind the L4 header; data sent again counts again */
	__u64 late;             /* LATE(): segments that met the lock too often; folded in by the next writer */
	__u32 data_packets;     /* segments that carry payload, mod 2^32 */
	__u32 data_headers;     /* IP + TCP header bytes of those, mod 2^32 */
	__u32 seq_high;         /* highest sequence end; SYN and FIN count one; valid with KNOWN_SEQ */
	__u32 data_high;        /* highest sequence end of payload */
	__u32 ack_high;         /* highest acknowledgement sent in this direction; valid with KNOWN_ACK */
	__u32 ifindex;          /* the interface that this direction counts on */
	__u16 flags;            /* all TCP flags that count: nine bits, CWR 0x80, AE 0x100 (RFC 9293, 3.1; RFC 9768) */
	__u8 known;             /* KNOWN_* */
	__u8 first_len;         /* bytes of the first payload that were seen, at most 16 */
	__u8 ttl;               /* TTL or hop limit of the SYN, else of the first packet */
	__u8 holes;             /* below seq_high and remembered now, see holes.h */
	__u16 holes_forgotten;  /* for want of room: what fills them counts as retransmitted; at most 2^16 - 1 */
	__u32 isn;              /* of the last SYN; valid with KNOWN_ISN */
	__u32 retransmitted;    /* segments that began below seq_high and filled no hole: a repeated SYN or FIN too */
	__u32 out_of_order;     /* segments that began below seq_high and filled a hole, or a part of one */
	__u32 zero_window;      /* segments with window 0, without SYN, FIN or RST */
	__u32 keep_alive;       /* segments of 0 or 1 byte at seq_high - 1 */
	__u16 contended;        /* late segments folded in: counted, but not their sequence and exchange; mod 2^16 */
	__u16 waited;           /* milliseconds that time-outs took, before payload was sent again; mod 2^16 */
	__u8 first_payload[16]; /* with KNOWN_KIND none of them, but in the first byte PAYLOAD_* */
	__u16 syn_mss;          /* of the SYN; 0: none */
	__u8 syn_wscale;        /* of the SYN; valid with SYN_WSCALE */
	__u8 syn_options;       /* SYN_* */
	__u32 acked; /* time of the first acknowledgement, then of the last one of new data: ns >> 10, mod 2^32 */
};

/*
 * Segments counted without the lock: 16 bits of segments, 23 of their header bytes, 25 of payload. One word, so that
 * one atomic addition keeps them together.
 */
#define LATE(packets, headers, payload) ((__u64)(packets) << 48 | (__u64)(headers) << 25 | (payload))

enum {
	KNOWN_ISN = 1 << 0,
	KNOWN_SEQ = 1 << 1,
	KNOWN_ACK = 1 << 2,
	KNOWN_OPENER = 1 << 3,    /* sent a SYN without ACK */
	KNOWN_ACKED_ISN = 1 << 4, /* isn is what the peer's SYN-ACK acknowledged: no SYN was seen yet */
	KNOWN_KIND = 1 << 5,      /* only the kind of the first payload is kept */
	KNOWN_LACKING = 1 << 6,   /* more may have been sent than seq_high says, until it advances again */
};

/* What the first payload of a direction begins, see kind.h. */
enum payload {
	PAYLOAD_NONE,
	PAYLOAD_OTHER,
	PAYLOAD_HTTP1,
	PAYLOAD_HTTP2,
	PAYLOAD_TLS,
	PAYLOAD_PROXY_V1,
	PAYLOAD_PROXY_V2,
	PAYLOAD_METHOD,
	PAYLOAD_SWITCHED,
};

enum {
	SYN_MSS = 1 << 0,
	SYN_WSCALE = 1 << 1,
	SYN_SACK = 1 << 2,
	SYN_TIMESTAMPS = 1 << 3,
};

/* A connection or UDP flow: all that is known of one before its first exchange. Half-open connections are just this. */
struct conn {
	__u32 lock;           /* even: whole; odd: being written */
	__u32 tag;            /* hash of the 5-tuple: the entry is still its own, and not removed and used again */
	__u8 state;           /* STATE_* */
	__u8 origin;          /* ORIGIN_* */
	__u16 moved;          /* times that a direction changed its interface */
	__u16 rx_window;      /* field of the last rx segment, not scaled */
	__u16 window_updates; /* rx segments that only opened a small window: a reader had fallen behind; saturates */
	__u64 id;      /* time of the first segment: names this generation of the 5-tuple; 0: not filled in yet */
	__u64 last;    /* time of the last segment */
	__u64 syn;     /* time of the first SYN; 0: not seen */
	__u64 syn_ack; /* time of the first SYN-ACK */
	__u64 ack;     /* time of the first segment that acknowledged it */
	struct direction dir[DIRECTIONS];
};

/*
 * Round-trip time by two timed tx segments (Karn), smoothed by RFC 6298. Times of segments are microseconds, mod 2^32;
 * 0: none.
 */
struct round_trip {
	__u32 sent;         /* time of the timed segment */
	__u32 newest;       /* time of the newest segment, which dir[TX].seq_high acknowledges */
	__u32 seq;          /* the acknowledgement that ends the timing of the first */
	__u32 smoothed_us8; /* microseconds x 8; 0: no sample yet */
	__u32 var_us4;      /* microseconds x 4 */
	__u32 min_us;
};

/* A SYN or SYN-ACK with another ISN than its direction's: which of the two counts, the other side's answer says. */
struct other_syn {
	__u64 time; /* of the first segment with this ISN; 0: there is none */
	__u32 isn;
	__u16 mss; /* as syn_* of struct direction */
	__u8 wscale;
	__u8 options;
};

/* A connection in its handshake. */
struct handshake {
	struct conn conn;
	/* Of a side that opens: its last other SYN; of one that answers: its first SYN-ACK, if conn has a later one. */
	struct other_syn other[DIRECTIONS];
	struct round_trip rtt; /* of what this host sent after its SYN-ACK */
};

enum { STATE_HALF_OPEN, STATE_OPEN, STATE_CLOSED, STATE_PROMOTED };
enum { ORIGIN_HANDSHAKE, ORIGIN_MIDSTREAM };

/* A moment to 16 ns: the low 48 bits of nanoseconds / 16, which tell 52 days; 0: none. */
struct stamp {
	__u16 part[3];
};

/*
 * One exchange: a run of rx payload and the tx payload that answers it. The arrays hold the flow's running figures at
 * its start, so that any run of exchanges is one subtraction; only segments that carry payload are in them.
 */
struct exchange {
	__u64 payload[DIRECTIONS];
	__u32 packets[DIRECTIONS];
	__u32 headers[DIRECTIONS];
	__u32 seq[DIRECTIONS];
	struct stamp first[DIRECTIONS]; /* time of the first segment with payload */
	struct stamp last[DIRECTIONS];
	__u32 rx_gap_us; /* largest time between two rx segments, microseconds, at most 2^32 - 1 */
	__u16 rx_min;    /* IP bytes of the smallest and the largest rx segment; 0: none */
	__u16 rx_max;
};

#define EXCHANGES 4 /* the current one and the last three; a power of two */

/* The record of a TCP connection. */
struct flow_record {
	struct conn conn;
	struct round_trip rtt;
	__u32 exchange;   /* number of the current exchange; it lies in ring[number % EXCHANGES] */
	__u8 answered;    /* tx payload came since the current exchange's last new rx payload */
	__u8 reopened;    /* a SYN with another ISN came: the half-open table may hold this 5-tuple's next generation */
	__u16 duplicates; /* tx segments that the peer says it had already, see sack.h; no more than were sent again */
	struct exchange ring[EXCHANGES];
};

/* Bytes of one direction that are missing below its highest: sequence [start, end), none if the two are equal. */
struct hole {
	__u32 start;
	__u32 end;
};

#define HOLES 64 /* remembered of one direction; a power of two */

struct holes {
	struct hole at[HOLES];
};

#define PORT_BITS 1024 /* a power of two */

/* What one remote address did. Counts are mod 2^32, for rates. */
struct source {
	__u64 first; /* time of the first and the last thing counted here */
	__u64 last;
	__u32 syns;       /* SYNs without ACK from it */
	__u32 handshakes; /* completed, that it had opened */
	__u32 rsts;       /* from it */
	__u32 flows;      /* records begun with it */
	__u32 malformed;  /* packets from it that are cut, too deep, or contradict themselves: MALFORMED */
	__u32 pad;
	__u32 ports[PORT_BITS / 32]; /* a bit for each local port that a SYN of its tried, by a hash: linear counting */
};

/* What a verdict is on: a source (remote address, port 0), a listener (local address and port), or the host (zeros). */
struct verdict_key {
	__u8 address[16];
	__u16 port;
	__u8 kind; /* VERDICT_* */
	__u8 pad[5];
};

enum { VERDICT_SOURCE, VERDICT_LISTENER };

/* A score with its reasons, for a time: written by user space. */
struct verdict {
	__u64 since;
	__u64 expires;
	__u32 signals; /* a bit for each: correlator/signal */
	__u16 score;   /* thousandths */
	__u8 origin;   /* ORIGIN_WATCHER, ... */
	__u8 pad;
};

enum { ORIGIN_WATCHER, ORIGIN_MANUAL, ORIGIN_FLEET };

/* The tables, in the order of meta.capacity, meta.entries and the table of counts. */
enum table { TABLE_FLOWS, TABLE_HALF_OPEN, TABLE_UDP, TABLE_SOURCES, TABLE_HOLES, TABLES };

/* What happened to a table. Entries that nobody removed and that are gone were evicted. */
struct table_counts {
	__u64 inserted;
	__u64 refused; /* for want of room */
	__u64 removed; /* by the program or the agent */
};

/* What a reader has to know before it uses the tables. */
struct meta {
	__u64 layout;           /* hash of these structures */
	__u64 heartbeat;        /* CLOCK_MONOTONIC nanoseconds of the agent's last sign of life */
	__u64 swept;            /* of the last sweep, at which entries were counted; 0: none yet */
	__u64 evicted[TABLES];  /* until then */
	__u32 entries[TABLES];  /* at that time */
	__u32 capacity[TABLES]; /* entries */
	__u32 interfaces;       /* that carry the program, as the agent last saw them, the loopback included */
	__u32 loopback;         /* 1: the loopback is one of them */
};

/* How a packet left the program: each packet counts once, under its direction and one of these. */
enum reason {
	RECORDED_FLOW,
	RECORDED_HALF_OPEN,
	RECORDED_UDP,
	NOT_IP,
	VLAN_DEPTH,
	L2_TRUNCATED,
	IP_TRUNCATED,
	IP_BAD_VERSION,
	IP_BAD_HEADER_LENGTH,
	IP_BAD_LENGTH,
	IP_LATER_FRAGMENT,
	IPV6_EXTENSION_DEPTH,
	OTHER_PROTOCOL,
	L4_TRUNCATED,
	L4_BAD_LENGTH,
	NO_CONNECTION,
	UNSOLICITED_SYN_ACK,
	TABLE_FULL,
	OTHER_INTERFACE,
	CONTENDED,
	REASONS,
};

#endif
