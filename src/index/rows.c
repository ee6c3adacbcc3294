/* rows.c - a row, wherever it lies. */
#include "index/index.h"
#include "kernels/kernels.h"

const float *kn_rows_at(const kn_rows *r, size_t slot, float *room)
{
    if (r->f32)
        return r->f32 + slot * r->dim;
    r->source->row(r->source->cookie, r->ids[slot], room);
    return room;
}

float kn_rows_raw(const kn_rows *r, size_t slot, const float *query)
{
    const kn_kernels *k = kn_kernels_get();
    if (r->source)
        return r->source->raw(r->source->cookie, r->ids[slot], query);
    const float *row = r->f32 + slot * r->dim;
    return r->metric == KN_METRIC_L2 ? -k->l2sq_f32(query, row, r->dim) : k->dot_f32(query, row, r->dim);
}
