/*
 * foreign_hnswlib.c - reading hnswlib's files (HierarchicalNSW::saveIndex of 0.6 to 0.8, f32).
 *
 *     header 96 | element | element | … | upper links of each element: u32 bytes, bytes
 *     element: u32 count and marks | u32 link x maxM0 | vector | u64 label
 */
#include "index/foreign.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"

#include <string.h>

typedef struct layout {
    uint64_t n, element, label, data, links;
} layout;

static ken_status read_header(kn_reader *r, layout *l)
{
    const uint64_t first = kn_reader_u64(r, "a header"), most = kn_reader_u64(r, "a header");
    l->n = kn_reader_u64(r, "a header");
    l->element = kn_reader_u64(r, "a header");
    l->label = kn_reader_u64(r, "a header");
    l->data = kn_reader_u64(r, "a header");
    kn_reader_take(r, 8, 1, "a header"); /* the top level and its entry */
    const uint64_t upper = kn_reader_u64(r, "a header"), base = kn_reader_u64(r, "a header");
    l->links = kn_reader_u64(r, "a header");
    kn_reader_take(r, 16, 1, "a header"); /* mult, ef_construction */
    if (r->st || first || l->n > most || !l->links || l->links > 10000 || upper != l->links
        || base > 1u << 20 || l->data != 4 * base + 4 || l->label <= l->data || l->label % 4
        || l->label - l->data > 4u << 16 || l->element != l->label + 8) {
        r->st = KEN_OK;
        r->at = 0;
        return kn_reader_fail(r, KEN_E_FORMAT, "neither an index of faiss nor one of hnswlib");
    }
    if (l->n >= 1u << 31)
        return kn_reader_fail(r, KEN_E_LIMIT, "%llu vectors", (unsigned long long)l->n);
    return KEN_OK;
}

static int is_deleted(const unsigned char *element)
{
    return element[2] & 1;
}

ken_status kn_foreign_hnswlib(kn_foreign *f, kn_reader *r)
{
    layout l = { 0 };
    ken_status st = read_header(r, &l);
    const unsigned char *p = st ? NULL : kn_reader_take(r, l.n, (size_t)l.element, "elements");
    for (uint64_t i = 0; !r->st && i < l.n; i++)
        kn_reader_take(r, kn_reader_u32(r, "upper links"), 1, "upper links");
    if (r->st)
        return r->st;
    f->dim = (uint32_t)((l.label - l.data) / 4);
    f->metric = KN_METRIC_L2;
    f->links = (uint32_t)l.links;
    for (uint64_t i = 0; i < l.n; i++)
        f->n += !is_deleted(p + i * l.element);
    f->rows = kn_alloc_aligned(f->n * f->dim + 1, sizeof *f->rows);
    f->ids = kn_alloc(f->n + 1, sizeof *f->ids);
    if (!f->rows || !f->ids)
        return KEN_E_NOMEM;
    for (uint64_t i = 0, to = 0; i < l.n; i++) {
        const unsigned char *e = p + i * l.element;
        if (is_deleted(e))
            continue;
        memcpy(f->rows + to * f->dim, e + l.data, f->dim * sizeof *f->rows);
        memcpy(&f->ids[to++], e + l.label, 8);
    }
    return KEN_OK;
}
