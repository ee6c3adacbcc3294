/*
 * histogram.c - the baseline: a colour histogram of 4 x 4 x 4 bins, compared by the Hellinger distance
 * (the Euclidean one between the roots of the bins).  What it finds can be found by colour alone.
 */
#include "tools/toys/toys_tool.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "base/progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BINS = 64, MOST_LIST = 1 << 28 };

typedef struct entry {
    const char *path, *label; /* in the list's own bytes */
    float bins[BINS];
    uint32_t rank; /* of the first label that is right, from 0 */
} entry;

typedef struct table {
    char *bytes, *dir;
    entry *e;
    size_t n;
} table;

static void table_release(table *t)
{
    kn_free(t->bytes);
    kn_free(t->dir);
    kn_free(t->e);
}

/* Lines `path,label`; the label stands behind the last comma. */
static ken_status split(table *t, const char *name)
{
    size_t lines = 1, number = 0;
    for (const char *p = t->bytes; *p; p++)
        lines += *p == '\n';
    t->e = kn_zalloc(lines, sizeof *t->e);
    if (!t->e)
        return KEN_E_NOMEM;
    char *save = NULL;
    for (char *line = strtok_r(t->bytes, "\r\n", &save); line;
         line = strtok_r(NULL, "\r\n", &save)) {
        char *comma = strrchr(line, ',');
        if (!comma)
            return kn_fail(KEN_E_FORMAT, "%s: line %zu is not path,label", name, number + 1);
        *comma = 0;
        if (number++ == 0 && !strcmp(line, "path") && !strcmp(comma + 1, "label"))
            continue;
        t->e[t->n].path = line;
        t->e[t->n++].label = comma + 1;
    }
    return t->n ? KEN_OK : kn_fail(KEN_E_FORMAT, "%s: an empty list", name);
}

static ken_status table_read(table *t, const char *path)
{
    unsigned char *bytes = NULL;
    size_t len;
    ken_status st = kn_read_file(&bytes, &len, path, MOST_LIST);
    if (st)
        return kn_fail_in(st, "%s", path);
    t->bytes = (char *)bytes;
    const size_t n = (size_t)(kn_path_name(path) - path);
    t->dir = kn_zalloc(n + 2, 1);
    if (!t->dir)
        return KEN_E_NOMEM;
    memcpy(t->dir, n ? path : ".", n ? n : 1);
    return split(t, path);
}

static ken_status count(entry *e, const char *dir)
{
    ken_image *img = NULL;
    char *path = *e->path == '/' ? kn_path_join("", e->path) : kn_path_join(dir, e->path);
    ken_status st = path ? ken_image_load(&img, path, NULL) : KEN_E_NOMEM;
    kn_free(path);
    if (st)
        return kn_fail_in(st, "%s", e->path);
    const uint32_t w = ken_image_width(img), h = ken_image_height(img);
    for (uint32_t y = 0; y < h; y++) {
        const uint8_t *p = ken_image_row(img, y);
        for (uint32_t x = 0; x < w; x++, p += 3)
            e->bins[p[0] / 64 * 16 + p[1] / 64 * 4 + p[2] / 64] += 1;
    }
    for (int i = 0; i < BINS; i++)
        e->bins[i] = sqrtf(e->bins[i] / ((float)w * (float)h));
    ken_image_free(img);
    return KEN_OK;
}

static ken_status count_some(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const table *t = cookie;
    ken_status st = KEN_OK;
    (void)worker;
    for (size_t i = begin; !st && i < end; i++) {
        st = count(&t->e[i], t->dir);
        if (!st)
            st = kn_check_interrupt();
    }
    return st;
}

static float likeness(const entry *a, const entry *b)
{
    float sum = 0;
    for (int i = 0; i < BINS; i++)
        sum += a->bins[i] * b->bins[i];
    return sum;
}

typedef struct match {
    const table *gallery;
    table *queries;
} match;

/* The rank of the right label: how many pictures of others are more like the query than the best of
 * its own.  With several references a label, a label may count more than once: a bound from above. */
static ken_status rank_some(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const match *m = cookie;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        entry *q = &m->queries->e[i];
        float best = -1;
        for (size_t j = 0; j < m->gallery->n; j++)
            if (!strcmp(m->gallery->e[j].label, q->label))
                best = fmaxf(best, likeness(q, &m->gallery->e[j]));
        q->rank = best < 0 ? UINT32_MAX : 0;
        for (size_t j = 0; best >= 0 && j < m->gallery->n; j++)
            q->rank += likeness(q, &m->gallery->e[j]) > best;
    }
    return kn_check_interrupt();
}

static void say(const tt_args *a, const table *queries)
{
    double top1 = 0, top5 = 0;
    for (size_t i = 0; i < queries->n; i++) {
        top1 += queries->e[i].rank == 0;
        top5 += queries->e[i].rank < 5;
    }
    printf(a->json ? "{\"queries\":%zu,\"top1\":%.4f,\"top5\":%.4f}\n"
                   : "%zu queries: R@1 %.4f, R@5 %.4f\n",
           queries->n, top1 / (double)queries->n, top5 / (double)queries->n);
}

int tt_histogram(const tt_args *a)
{
    table gallery = { .n = 0 }, queries = { .n = 0 };
    match m = { &gallery, &queries };
    ken_status st = table_read(&gallery, a->gallery);
    if (!st)
        st = table_read(&queries, a->queries);
    if (!st)
        st = kn_parallel(gallery.n, 1, a->threads, count_some, &gallery);
    if (!st)
        st = kn_parallel(queries.n, 1, a->threads, count_some, &queries);
    if (!st)
        st = kn_parallel(queries.n, 1, a->threads, rank_some, &m);
    if (!st)
        say(a, &queries);
    table_release(&gallery);
    table_release(&queries);
    return st ? tt_fail(st) : TT_DONE;
}
