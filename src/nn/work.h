/*
 * work.h - memory for one call at a time, kept for the next one.
 */
#ifndef NN_WORK_H
#define NN_WORK_H

#include "ken.h"

typedef struct kn_work kn_work;

typedef struct kn_work_pool kn_work_pool;

kn_work_pool *kn_work_pool_new(void);      /* NULL: out of memory */
void kn_work_pool_free(kn_work_pool *p);   /* every area has been given back; NULL is fine */

/* An area of at least `bytes`, 64-aligned, its contents undefined; give it back. */
KEN_CALL ken_status kn_work_take(kn_work_pool *p, size_t bytes, kn_work **out);
void kn_work_give(kn_work_pool *p, kn_work *w); /* NULL is fine */

/* The parts of an area, one behind the other: plan with base NULL to learn the size. */
typedef struct kn_arena {
    unsigned char *base;
    size_t used;
} kn_arena;
kn_arena kn_work_arena(kn_work *w);
/* `bytes` at a multiple of 64; NULL while planning. */
void *kn_arena_take(kn_arena *a, size_t bytes);

#endif
