/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * How a record is read: by a run of ft_read, one system call for a whole copy. It may be run by whoever may read its
 * pin, so it only reads: it takes no lock, and writes nothing but its caller's own memory.
 */
#ifndef FIVETUPLE_READ_H
#define FIVETUPLE_READ_H

#include "parse.h"
#include "maps.h"

/*
 * The question and its answer: the program's context, which the kernel copies in and out. The record comes first,
 * because the verifier refuses writes through a pointer into the context. Its twin is in reading.go.
 */
struct reading {
	struct flow_record record;
	struct flow_key key;
};

/* What ft_read returns. */
enum reading_result { READ_NOTHING, READ_RECORD, READ_BUSY };

/* In a run of the program; a writer holds the record for about 100 ns, and the caller may ask again. */
#define READ_TRIES 4

/*
 * What is read before is read before what is read after: an exchange is a full barrier (kernel:
 * Documentation/bpf/standardization/instruction-set.rst). The word is nobody else's.
 */
#define READ_IN_ORDER(own) __sync_lock_test_and_set(&(own), 0)

/*
 * 1 if the copy is whole and the key's own. The lock word was even and the same before and after it; so was the id,
 * because memory that was removed and used again may come to the same word; and the tag tells whether that had been
 * so before the first look.
 */
static __always_inline int copy_whole(struct reading *to, const struct flow_record *r, __u32 tag)
{
	const volatile struct conn *now = &r->conn;
	__u64 own = 0;

	__u64 id = now->id;
	READ_IN_ORDER(own);
	__u32 word = now->lock;
	READ_IN_ORDER(own);
	to->record = *r;
	READ_IN_ORDER(own);
	__u32 then = now->lock;
	READ_IN_ORDER(own);
	return !(word & 1) && then == word && now->id == id && to->record.conn.tag == tag;
}

SEC("syscall")
int ft_read(struct reading *ask)
{
	struct packet p = {.key = ask->key};
	__u32 own = tag(&p);

#pragma clang loop unroll(disable)
	for (int i = 0; i < READ_TRIES; i++) {
		const struct flow_record *r = bpf_map_lookup_elem(&flows, &p.key);
		if (!r)
			return READ_NOTHING;
		if (copy_whole(ask, r, own))
			return READ_RECORD;
	}
	return READ_BUSY;
}

#endif
