/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * One writer at a time: rx and tx of a connection meet on two CPUs, and so do two rx. The lock word is even while the
 * entry is whole and odd while it is being written; every unlock makes another even number, so a reader that saw the
 * same even word before and after its copy has a whole one. The holder runs with bottom halves off and never sleeps,
 * so that the wait is short unless the hypervisor stops its CPU: hence the bound.
 */
#ifndef FIVETUPLE_LOCK_H
#define FIVETUPLE_LOCK_H

#define LOCK_TRIES (1 << 17) /* some 2 ms */

static __always_inline int try_lock(__u32 *word)
{
	__u32 seen = *(volatile __u32 *)word;
	return !(seen & 1) && __sync_val_compare_and_swap(word, seen, seen + 1) == seen;
}

struct wait {
	__u32 *word;
	__u32 taken;
};

static long wait_once(__u32 round, struct wait *w)
{
	w->taken = try_lock(w->word);
	return w->taken;
}

/* bpf_loop (Linux 5.17), because the verifier would walk every round of a loop of our own. */
static __noinline int wait_for_lock(__u32 *word)
{
	struct wait w = {.word = word};
	bpf_loop(LOCK_TRIES, wait_once, &w, 0);
	return w.taken;
}

/* 0 if the word could not be taken. */
static __always_inline int lock(__u32 *word)
{
	return try_lock(word) || wait_for_lock(word);
}

/* Set when the program is loaded, on machines whose stores are seen in their order by all CPUs: x86-64. */
const volatile __u8 stores_in_order = 0;

/*
 * There a plain store, which is some 5 ns cheaper. Elsewhere an exchange, because it is a full barrier (kernel:
 * Documentation/bpf/standardization/instruction-set.rst).
 */
static __always_inline void unlock(__u32 *word)
{
	__u32 next = *(volatile __u32 *)word + 1;
	if (stores_in_order) {
		asm volatile("" ::: "memory"); /* for the compiler */
		*(volatile __u32 *)word = next;
	} else {
		__sync_lock_test_and_set(word, next);
	}
}

#endif
