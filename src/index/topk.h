/* topk.h - the k best of many, in one fixed order: larger raw first, equal ones by smaller id. */
#ifndef INDEX_TOPK_H
#define INDEX_TOPK_H

#include <stddef.h>
#include <stdint.h>

typedef struct kn_near {
    uint64_t id;
    float raw;
} kn_near;

typedef struct kn_topk {
    kn_near *heap; /* (k) the caller's; the worst is in front */
    size_t len, k;
} kn_topk;

/* k may be 0. */
void kn_topk_init(kn_topk *t, kn_near *heap, size_t k);
/* NaN is never kept. */
void kn_topk_offer(kn_topk *t, uint64_t id, float raw);
/* Nothing below this can get in any more; -INFINITY while there is room. */
float kn_topk_floor(const kn_topk *t);
/* Best first; the heap is a plain list from then on. */
void kn_topk_sort(kn_topk *t);

#endif
