/*
 * pairs.c - twins: is a query nearer to its own reference than to its twin's?  By vectors of a model, or
 * by colour histograms.
 */
#include "tools/toys/list.h"
#include "tools/toys/toys_tool.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char tail[] = "-twin";

static int by_label(const void *a, const void *b)
{
    return strcmp((*(const tt_entry *const *)a)->label, (*(const tt_entry *const *)b)->label);
}

/* The reference of a label among those sorted, or -1. */
static int find(const tt_list *gallery, const tt_entry **sorted, const char *label, size_t *at)
{
    const tt_entry key = { .label = label }, *k = &key;
    const tt_entry **found = bsearch(&k, sorted, gallery->n, sizeof *sorted, by_label);
    if (!found)
        return -1;
    *at = (size_t)(*found - gallery->e);
    return 0;
}

/* "7" to "7-twin" and back. */
static void partner(char *out, size_t n, const char *label)
{
    const size_t len = strlen(label), t = sizeof tail - 1;
    if (len > t && !strcmp(label + len - t, tail))
        snprintf(out, n, "%.*s", (int)(len - t), label);
    else
        snprintf(out, n, "%s%s", label, tail);
}

/* A draw is half right. */
static ken_status compare(const tt_list *gallery, const tt_list *queries, double *right)
{
    char twin[64];
    size_t own, other;
    ken_status st = KEN_OK;
    const tt_entry **sorted = kn_alloc(gallery->n, sizeof *sorted);
    if (!sorted)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < gallery->n; i++)
        sorted[i] = &gallery->e[i];
    qsort(sorted, gallery->n, sizeof *sorted, by_label);
    for (size_t i = 0; !st && i < queries->n; i++) {
        partner(twin, sizeof twin, queries->e[i].label);
        if (find(gallery, sorted, queries->e[i].label, &own) ||
            find(gallery, sorted, twin, &other)) {
            st = kn_fail(KEN_E_FORMAT, "%s: it and its twin are not both in the gallery",
                         queries->e[i].label);
            break;
        }
        const float a = tt_likeness(queries, i, gallery, own),
                    b = tt_likeness(queries, i, gallery, other);
        *right += a > b ? 1 : a == b ? .5 : 0;
    }
    kn_free(sorted);
    return st;
}

int tt_pairs(const tt_args *a)
{
    tt_list gallery = { .n = 0 }, queries = { .n = 0 };
    double right = 0;
    ken_status st = tt_list_read(&gallery, a->gallery);
    if (!st)
        st = tt_list_read(&queries, a->queries);
    if (!st)
        st = a->gallery_vectors ? tt_list_vectors(&gallery, a->gallery_vectors)
                                : tt_list_histograms(&gallery, a->threads);
    if (!st)
        st = a->query_vectors ? tt_list_vectors(&queries, a->query_vectors)
                              : tt_list_histograms(&queries, a->threads);
    if (!st && gallery.dim != queries.dim)
        st = kn_fail(KEN_E_INVALID, "vectors of %zu and of %zu numbers", gallery.dim, queries.dim);
    if (!st)
        st = compare(&gallery, &queries, &right);
    if (!st)
        printf(a->json ? "{\"queries\":%zu,\"top1\":%.4f}\n"
                       : "%zu queries: R@1 within the pair %.4f\n",
               queries.n, right / (double)queries.n);
    tt_list_release(&gallery);
    tt_list_release(&queries);
    return st ? tt_fail(st) : TT_DONE;
}
