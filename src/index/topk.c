/* topk.c - a binary heap with the worst of the best in front. */
#include "index/topk.h"

#include <math.h>
#include <stdlib.h>

static int worse(const kn_near *a, const kn_near *b)
{
    return a->raw < b->raw || (a->raw == b->raw && a->id > b->id);
}

void kn_topk_init(kn_topk *t, kn_near *heap, size_t k)
{
    *t = (kn_topk){ heap, 0, k };
}

float kn_topk_floor(const kn_topk *t)
{
    if (!t->k)
        return INFINITY;
    return t->len < t->k ? -INFINITY : t->heap[0].raw;
}

static void sift_up(kn_near *h, size_t i, kn_near e)
{
    while (i) {
        const size_t up = (i - 1) / 2;
        if (!worse(&e, &h[up]))
            break;
        h[i] = h[up];
        i = up;
    }
    h[i] = e;
}

static void sift_down(kn_near *h, size_t n, kn_near e)
{
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && worse(&h[child + 1], &h[child]))
            child++;
        if (!worse(&h[child], &e))
            break;
        h[i] = h[child];
    }
    h[i] = e;
}

void kn_topk_offer(kn_topk *t, uint64_t id, float raw)
{
    const kn_near e = { id, raw };
    if (isnan(raw) || !t->k)
        return;
    if (t->len < t->k)
        sift_up(t->heap, t->len++, e);
    else if (worse(&t->heap[0], &e))
        sift_down(t->heap, t->len, e);
}

static int best_first(const void *a, const void *b)
{
    return worse(a, b) - worse(b, a);
}

void kn_topk_sort(kn_topk *t)
{
    if (t->len > 1)
        qsort(t->heap, t->len, sizeof *t->heap, best_first);
}
