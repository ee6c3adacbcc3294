/* foreign_index.c - between foreign files and indexes of ours. */
#include "index/foreign.h"

#include "base/alloc.h"
#include "base/error.h"
#include "index/graph.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- into an index --------------------------------------------------------------- */

static ken_status spec_of(const kn_foreign *f, kn_spec *spec)
{
    char text[KN_SPEC_TEXT];
    if (f->links)
        snprintf(text, sizeof text, "HNSW%u", f->links < 2 ? 2 : f->links > 64 ? 64 : f->links);
    else if (!f->ivf)
        snprintf(text, sizeof text, "Flat");
    else if (!f->ivf->pq.space.m)
        snprintf(text, sizeof text, "IVF%u,Flat", f->ivf->lists);
    else {
        const size_t m = f->ivf->pq.space.m;
        const int n = f->ivf->rotation ? snprintf(text, sizeof text, "OPQ%zu,", m) : 0;
        snprintf(text + n, sizeof text - (size_t)n, "IVF%u,PQ%zu%s%s", f->ivf->lists, m,
                 kn_ivf_bits(f->ivf) == 4 ? "x4fs" : "", f->ivf->refine ? ",RFlat" : "");
    }
    return kn_spec_parse(spec, text, f->n, f->dim, f->metric);
}

ken_status kn_foreign_index(kn_index **out, kn_foreign *f, const kn_build *b)
{
    kn_spec spec;
    ken_status st = spec_of(f, &spec);
    for (size_t i = 0; f->rows && f->metric == KN_METRIC_COSINE && i < f->n; i++)
        kn_unit(f->rows + i * f->dim, f->dim);
    if (!st && !f->ivf)
        st = kn_index_build(out, spec.text, f->metric, f->ids, f->rows, f->n, f->dim, b);
    else if (!st) {
        f->ivf->rows = (kn_rows){ f->rows, f->ids, f->n, f->dim, f->metric, NULL };
        f->ivf->opq = spec.opq;
        st = kn_index_adopt(out, &spec, f->metric, f->ids, f->rows, f->n, f->dim, f->ivf);
        if (!st)
            *f = (kn_foreign){ 0 }; /* they are the index's now */
    }
    kn_foreign_release(f);
    return st;
}

/* ---- out of one --------------------------------------------------------------------- */

/* The base layer's links of row r's node, as rows; equal rows, which share a node, are chained. */
static void links_of(const kn_graph *g, uint32_t node, uint32_t row, uint32_t *out, uint32_t degree)
{
    const uint32_t *links = kn_links(&g->layer[0], node), first = g->slots[node];
    const uint32_t twin = g->twins[row];
    uint32_t n = 0;
    if (twin != KN_NO_ROW)
        out[n++] = twin;
    if (row != first)
        out[n++] = first;
    for (uint32_t i = 0; i < g->layer[0].degree && n < degree; i++)
        if (links[i] != node && links[i] < g->n)
            out[n++] = g->slots[links[i]];
    while (n < degree)
        out[n++] = KN_NO_ROW;
}

/* Where a search begins: the first of the highest layer. */
static uint32_t entry_of(const kn_graph *g)
{
    uint32_t at = 0;
    if (!g->n)
        return 0;
    for (uint32_t l = g->layers; l-- > 1;)
        at = g->layer[l].down[at];
    return g->slots[at];
}

static ken_status make_links(const kn_graph *g, kn_foreign_graph *out)
{
    *out = (kn_foreign_graph){ .degree = 2 * g->m, .entry = entry_of(g) };
    uint32_t *links = kn_alloc(g->rows.n + 1, out->degree * sizeof *links);
    if (!links)
        return KEN_E_NOMEM;
    memset(links, 255, g->rows.n * out->degree * sizeof *links);
    for (uint32_t i = 0; i < g->n; i++)
        for (uint32_t r = g->slots[i]; r != KN_NO_ROW && r < g->rows.n; r = g->twins[r])
            links_of(g, i, r, links + (size_t)r * out->degree, out->degree);
    out->links = links;
    return KEN_OK;
}

ken_status kn_foreign_write(const kn_index *ix, kn_foreign_kind kind, const char *path)
{
    const kn_spec *spec = kn_index_spec(ix);
    const kn_rows *rows = kn_index_rows(ix);
    const void *state = kn_index_state(ix);
    kn_foreign_graph graph = { 0 };
    kn_index_info info;
    kn_index_get_info(ix, &info);
    if (info.gone || info.pending)
        return kn_fail(KEN_E_INVALID,
                       "%zu rows are removed and %zu not merged yet: `ken ann compact` first",
                       info.gone, info.pending);
    if (spec->kind != KN_KIND_HNSW && kind == KN_FOREIGN_HNSWLIB)
        return kn_fail(KEN_E_UNSUPPORTED, "an index of kind %s: hnswlib's files hold HNSW alone",
                       spec->text);
    if (spec->kind == KN_KIND_IVF)
        return kn_foreign_write_faiss(rows, state, NULL, path);
    ken_status st = spec->kind == KN_KIND_HNSW && state ? make_links(state, &graph) : KEN_OK;
    if (!st && kind == KN_FOREIGN_HNSWLIB)
        st = kn_foreign_write_hnswlib(rows, &graph, path);
    else if (!st)
        st = kn_foreign_write_faiss(rows, NULL, graph.links ? &graph : NULL, path);
    kn_free(graph.links);
    return st;
}
