/* foreign.c - which kind of file it is, and what its contents become. */
#include "index/foreign.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "index/idmap.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- reading -------------------------------------------------------------------- */

ken_status kn_reader_fail(kn_reader *r, ken_status st, const char *fmt, ...)
{
    char why[200];
    va_list ap;
    if (r->st)
        return r->st;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    return r->st = kn_fail(st, "%s: byte %zu: %s", r->name, r->at, why);
}

const unsigned char *kn_reader_take(kn_reader *r, uint64_t n, size_t size, const char *what)
{
    const unsigned char *p = r->bytes + r->at;
    if (r->st)
        return NULL;
    if (n > (r->len - r->at) / size) {
        kn_reader_fail(r, KEN_E_CORRUPT, "%llu x %zu bytes of %s, but the file ends %zu bytes on",
                       (unsigned long long)n, size, what, r->len - r->at);
        return NULL;
    }
    r->at += (size_t)n * size;
    return p;
}

uint32_t kn_reader_u32(kn_reader *r, const char *what)
{
    const unsigned char *p = kn_reader_take(r, 1, 4, what);
    return p ? kn_little32(p) : 0;
}

uint64_t kn_reader_u64(kn_reader *r, const char *what)
{
    const unsigned char *p = kn_reader_take(r, 1, 8, what);
    return p ? kn_little32(p) | (uint64_t)kn_little32(p + 4) << 32 : 0;
}

/* ---- contents ------------------------------------------------------------------- */

void kn_foreign_release(kn_foreign *f)
{
    kn_free(f->rows);
    kn_free(f->ids);
    kn_ivf_release(f->ivf);
    *f = (kn_foreign){ 0 };
}

static ken_status check_rows(const kn_foreign *f, const char *name)
{
    for (size_t i = 0; f->rows && i < f->n * f->dim; i++)
        if (!isfinite(f->rows[i]))
            return kn_fail(KEN_E_CORRUPT, "%s: row %zu has a number that is not finite", name,
                           i / f->dim);
    return KEN_OK;
}

static ken_status check_ids(const kn_foreign *f, const char *name)
{
    kn_idmap seen = { 0 };
    size_t where;
    ken_status st = kn_idmap_reserve(&seen, f->n);
    for (size_t i = 0; !st && i < f->n; i++)
        if (kn_idmap_get(&seen, f->ids[i], &where))
            st = kn_fail(KEN_E_CORRUPT, "%s: id %llu comes twice", name,
                         (unsigned long long)f->ids[i]);
        else
            kn_idmap_put(&seen, f->ids[i], i);
    kn_idmap_release(&seen);
    return st;
}

static int unit_rows(const kn_foreign *f)
{
    for (size_t i = 0; i < f->n; i++) {
        double s = 0;
        for (size_t e = 0; e < f->dim; e++)
            s += (double)f->rows[i * f->dim + e] * (double)f->rows[i * f->dim + e];
        if (s != 0 && fabs(s - 1) > 1e-3)
            return 0;
    }
    return 1;
}

static ken_status set_metric(kn_foreign *f, const char *name, const char *metric, int fixed)
{
    kn_metric wanted;
    ken_status st = metric ? kn_metric_parse(&wanted, metric) : KEN_OK;
    if (st || !metric)
        return st;
    const int cosine = wanted == KN_METRIC_COSINE;
    if (fixed && wanted != f->metric && !(cosine && f->metric == KN_METRIC_DOT))
        return kn_fail(KEN_E_INVALID, "%s: its metric is %s, not %s", name, kn_metric_name(f->metric),
                       metric);
    if (cosine && !(f->rows && unit_rows(f)))
        return kn_fail(KEN_E_INVALID, "%s: cosine is for rows of length 1, and these are not; ip?",
                       name);
    f->metric = wanted;
    return KEN_OK;
}

/* hnswlib's files have no mark of their own; faiss's begin with four letters. */
static int looks_like_faiss(const unsigned char *p, size_t len)
{
    return len > 4 && p[0] == 'I' && p[1] && p[2] && p[3];
}

ken_status kn_foreign_parse(kn_foreign *out, const unsigned char *bytes, size_t len,
                            const char *name, const char *metric)
{
    kn_reader r = { .bytes = bytes, .len = len, .name = name };
    kn_foreign f = { 0 };
    const int faiss = looks_like_faiss(bytes, len);
    ken_status st = faiss ? kn_foreign_faiss(&f, &r) : kn_foreign_hnswlib(&f, &r);
    if (!st && r.at != len)
        st = kn_reader_fail(&r, KEN_E_CORRUPT, "%zu bytes too many", len - r.at);
    st = st ? st : check_rows(&f, name);
    st = st ? st : check_ids(&f, name);
    st = st ? st : set_metric(&f, name, metric, faiss);
    if (st)
        kn_foreign_release(&f);
    else
        *out = f;
    return st;
}

ken_status kn_foreign_read(kn_foreign *out, const char *path, const char *metric)
{
    unsigned char *bytes = NULL;
    size_t len = 0;
    ken_status st = kn_read_file(&bytes, &len, path, SIZE_MAX / 4);
    st = st ? st : kn_foreign_parse(out, bytes, len, path, metric);
    kn_free(bytes);
    return st;
}
