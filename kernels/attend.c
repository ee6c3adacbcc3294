/* attend.c - the loops of attention.
 *
 *   for heads                         pack its keys and values
 *     for blocks of queries           as many as a tile of the core has rows
 *       scores                        block x keys
 *       weights                       row by row; their sum divides the output
 *       outputs                       block x dim
 *
 * A block's scores stay in the nearest caches, and so do a head's panels.  A score is a sum over
 * ascending dim and an output one over ascending keys; keys that a causal row doesn't see weigh
 * zero, which changes no sum.  So a row's bits depend neither on the other rows nor on the block. */
#include "kernels/attend.h"

#include <stdalign.h>

enum {
    KEYS = 64,           /* what keys are rounded up to in the scratch */
    DIMS = KN_PANEL_K,   /* and columns of a head */
    SUM_FLOATS = 32 * 32 /* of the largest tile */
};

typedef struct job {
    const kn_attend *l;
    const kn_attention *a;
    uint32_t head;
    unsigned char *keys, *values; /* panels */
    float *scores;                /* tiles of (room, columns) */
    unsigned char *weights;       /* packed rows */
    void *row;                    /* weights of one query */
    unsigned char *queries;       /* packed rows */
} job;

static size_t rounded(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

size_t kn_attention_scratch(uint32_t kv_rows, uint32_t dim)
{
    const size_t keys = rounded(kv_rows, KEYS), width = rounded(dim, DIMS);
    return keys * (2 * width + 2 * KN_ATTENTION_BLOCK + 1) + width * KN_ATTENTION_BLOCK;
}

static job new_job(const kn_attend *l, const kn_attention *a)
{
    const size_t keys = rounded(a->kv_rows, KEYS), width = rounded(a->dim, DIMS);
    float *values = a->scratch + keys * width, *scores = values + keys * width;
    float *weights = scores + keys * KN_ATTENTION_BLOCK;
    float *row = weights + keys * KN_ATTENTION_BLOCK;
    return (job){
        .l = l,
        .a = a,
        .keys = (unsigned char *)a->scratch,
        .values = (unsigned char *)values,
        .scores = scores,
        .weights = (unsigned char *)weights,
        .row = row,
        .queries = (unsigned char *)(row + keys),
    };
}

static size_t seen_by(const kn_attention *a, size_t query)
{
    return a->causal ? query + 1 + a->kv_rows - a->q_rows : a->kv_rows;
}

/* Panels from the first on, of a matrix with n of them; the last one stands in for those beyond. */
static void set_panels(const job *j, kn_tile *tile, const unsigned char *panels, size_t first,
                       size_t n, size_t k)
{
    const size_t row = KN_PANEL * (j->l->type == KN_F32 ? 4 : 2);
    for (size_t p = 0; p < tile->panels; p++) {
        const size_t at = first + p < n ? first + p : n - 1;
        tile->w[p] = panels + at * kn_panel_k(k, j->l->type) * row;
    }
}

static void pack_queries(const job *j, size_t first, size_t rows, size_t room)
{
    const kn_attention *a = j->a;
    const kn_core *core = j->l->core;
    const size_t size = a->type == KN_F32 ? 4 : 2;
    for (size_t r = 0; r < rows; r++) {
        const size_t at = (first + r) * a->ldq + (size_t)j->head * a->dim;
        j->l->pack_query((const char *)a->q + at * size, a->dim, j->queries + r * core->row_bytes,
                         room * core->row_bytes);
    }
}

static void score(const job *j, size_t rows, size_t room, size_t seen)
{
    const kn_core *core = j->l->core;
    kn_tile tile = { .a = j->queries, .k = j->a->dim, .panels = core->panels[rows], .fresh = 1 };
    for (size_t c = 0; c < seen; c += tile.panels * KN_PANEL) {
        set_panels(j, &tile, j->keys, c / KN_PANEL, rounded(seen, KN_PANEL) / KN_PANEL, tile.k);
        tile.sum = j->scores + c * room;
        core->multiply[rows](&tile);
    }
}

static void weigh(const job *j, size_t first, size_t rows, size_t room, size_t seen, float *totals)
{
    const kn_core *core = j->l->core;
    const size_t columns = core->panels[rows] * (size_t)KN_PANEL;
    for (size_t r = 0; r < rows; r++) {
        totals[r] = j->l->weigh(j->scores + r * columns, columns, room * columns, j->a->bias,
                                seen_by(j->a, first + r), seen, j->row);
        core->pack(j->row, seen, j->weights + r * core->row_bytes, room * core->row_bytes);
    }
}

static void mix(const job *j, size_t first, size_t rows, size_t seen, const float *totals)
{
    alignas(64) float sums[SUM_FLOATS];
    const kn_attention *a = j->a;
    const kn_core *core = j->l->core;
    kn_tile tile = {
        .a = j->weights, .k = seen, .panels = core->panels[rows], .fresh = 1, .sum = sums
    };
    const size_t columns = tile.panels * KN_PANEL;
    for (size_t d = 0; d < a->dim; d += columns) {
        set_panels(j, &tile, j->values, d / KN_PANEL, rounded(a->dim, KN_PANEL) / KN_PANEL,
                   a->kv_rows);
        core->multiply[rows](&tile);
        for (size_t r = 0; r < rows; r++)
            j->l->store(sums + r * columns, totals[r], a->dim - d < columns ? a->dim - d : columns,
                        a->out, (first + r) * a->ldo + (size_t)j->head * a->dim + d);
    }
}

void kn_attend_heads(const kn_attend *l, const kn_attention *a)
{
    job j = new_job(l, a);
    const size_t blocks = (a->q_rows + l->core->rows - 1) / l->core->rows;
    for (j.head = 0; j.head < a->heads; j.head++) {
        l->pack_keys(a, j.head, j.keys);
        l->pack_values(a, j.head, j.values);
        for (size_t b = 0; b < blocks; b++) {
            const size_t first = a->q_rows * b / blocks, end = a->q_rows * (b + 1) / blocks;
            const size_t room = rounded(end - first, l->core->row_unit);
            const size_t seen = seen_by(a, end - 1);
            float totals[KN_ATTENTION_BLOCK];
            pack_queries(&j, first, end - first, room);
            score(&j, end - first, room, seen);
            weigh(&j, first, end - first, room, seen, totals);
            mix(&j, first, end - first, seen, totals);
        }
    }
}
