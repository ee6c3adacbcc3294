/* list.c - see list.h. */
#include "tools/toys/list.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "base/progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BINS = TT_BINS, MOST_LIST = 1 << 28, HEADER = 10 };

void tt_list_release(tt_list *t)
{
    kn_free(t->bytes);
    kn_free(t->dir);
    kn_free(t->e);
    kn_free(t->v);
    *t = (tt_list){ .n = 0 };
}

/* Lines `path,label`; the label stands behind the last comma. */
static ken_status split(tt_list *t, const char *name)
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

ken_status tt_list_read(tt_list *t, const char *path)
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

/* The roots of the bins' shares: their product is 1 for equal pictures. */
static ken_status count(const tt_list *t, size_t i)
{
    ken_image *img = NULL;
    const char *name = t->e[i].path;
    float *bins = t->v + i * BINS;
    char *path = *name == '/' ? kn_path_join("", name) : kn_path_join(t->dir, name);
    ken_status st = path ? ken_image_load(&img, path, NULL) : KEN_E_NOMEM;
    kn_free(path);
    if (st)
        return kn_fail_in(st, "%s", name);
    const uint32_t w = ken_image_width(img), h = ken_image_height(img);
    for (uint32_t y = 0; y < h; y++) {
        const uint8_t *p = ken_image_row(img, y);
        for (uint32_t x = 0; x < w; x++, p += 3)
            bins[p[0] / 64 * 16 + p[1] / 64 * 4 + p[2] / 64] += 1;
    }
    for (int k = 0; k < BINS; k++)
        bins[k] = sqrtf(bins[k] / ((float)w * (float)h));
    ken_image_free(img);
    return KEN_OK;
}

static ken_status count_some(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const tt_list *t = cookie;
    ken_status st = KEN_OK;
    (void)worker;
    for (size_t i = begin; !st && i < end; i++) {
        st = count(t, i);
        if (!st)
            st = kn_check_interrupt();
    }
    return st;
}

ken_status tt_list_histograms(tt_list *t, uint32_t threads)
{
    t->dim = BINS;
    t->v = kn_zalloc(t->n, BINS * sizeof *t->v);
    return t->v ? kn_parallel(t->n, 1, threads, count_some, t) : KEN_E_NOMEM;
}

/* ---- vectors of one's own ---- */

/* The array of an .npy file of version 1: float32, C order, (rows, *dim). */
static ken_status read_shape(const unsigned char *p, size_t len, size_t rows, size_t *start,
                             size_t *dim)
{
    if (len < HEADER || memcmp(p, "\x93NUMPY\x01", 7) != 0)
        return kn_fail(KEN_E_FORMAT, "not an .npy file of version 1");
    *start = HEADER + p[8] + 256 * (size_t)p[9];
    const char *shape = *start <= len ? strstr((const char *)p + HEADER, "'shape': (") : NULL;
    const char *type = *start <= len ? strstr((const char *)p + HEADER, "'<f4'") : NULL;
    if (!shape || !type || strstr((const char *)p + HEADER, "True"))
        return kn_fail(KEN_E_FORMAT, "not float32 in C order");
    char *end;
    const unsigned long long n = strtoull(shape + 10, &end, 10);
    *dim = *end == ',' ? (size_t)strtoull(end + 1, &end, 10) : 0;
    if (n != rows)
        return kn_fail(KEN_E_FORMAT, "%llu vectors for %zu pictures", n, rows);
    if (!*dim || *dim > 1 << 16 || len - *start != rows * *dim * sizeof(float))
        return kn_fail(KEN_E_FORMAT, "its length does not fit its shape");
    return KEN_OK;
}

ken_status tt_list_vectors(tt_list *t, const char *npy)
{
    unsigned char *bytes = NULL;
    size_t len, start = 0;
    ken_status st = kn_read_file(&bytes, &len, npy, SIZE_MAX / 2);
    if (!st)
        st = read_shape(bytes, len, t->n, &start, &t->dim);
    if (!st && !(t->v = kn_alloc(t->n, t->dim * sizeof *t->v)))
        st = KEN_E_NOMEM;
    if (!st)
        memcpy(t->v, bytes + start, t->n * t->dim * sizeof *t->v);
    kn_free(bytes);
    return st ? kn_fail_in(st, "%s", npy) : KEN_OK;
}

float tt_likeness(const tt_list *a, size_t i, const tt_list *b, size_t j)
{
    const float *p = a->v + i * a->dim, *q = b->v + j * b->dim;
    float sum = 0;
    for (size_t k = 0; k < a->dim; k++)
        sum += p[k] * q[k];
    return sum;
}
