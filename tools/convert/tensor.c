/* tensor.c - sets of tensors, and rows of floats gathered through strides. */
#include "tools/convert/tensor.h"

#include "base/alloc.h"
#include "base/error.h"
#include "kernels/kernels.h"
#include "base/zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 512, MAX_EXPANDED = 1 << 24 };

/* ---- sets ---- */

void cv_set_release(cv_set *s)
{
    for (size_t i = 0; i < s->len; i++)
        kn_free(s->list[i].name);
    while (s->kept_len) { /* the last first: it may lie in an earlier one */
        const cv_kept *k = &s->kept[--s->kept_len];
        k->close(k->p);
    }
    kn_free(s->list);
    kn_free(s->kept);
    kn_free(s->scratch);
    *s = (cv_set){ 0 };
}

ken_status cv_set_keep(cv_set *s, void *p, void (*close)(void *p))
{
    cv_kept *kept = kn_room(s->kept, s->kept_len, &s->kept_cap, sizeof *kept);
    if (!kept) {
        close(p);
        return KEN_E_NOMEM;
    }
    s->kept = kept;
    kept[s->kept_len++] = (cv_kept){ p, close };
    return KEN_OK;
}

ken_status cv_set_add(cv_set *s, const char *name, const cv_tensor *t)
{
    cv_tensor *list = kn_room(s->list, s->len, &s->cap, sizeof *list);
    if (!list)
        return KEN_E_NOMEM;
    s->list = list;
    list[s->len] = *t;
    list[s->len].name = kn_strdup(name);
    if (!list[s->len].name)
        return KEN_E_NOMEM;
    s->len++;
    return KEN_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const cv_tensor *)a)->name, ((const cv_tensor *)b)->name);
}

ken_status cv_set_seal(cv_set *s)
{
    if (s->len)
        qsort(s->list, s->len, sizeof *s->list, by_name);
    for (size_t i = 1; i < s->len; i++)
        if (!strcmp(s->list[i - 1].name, s->list[i].name))
            return kn_fail(KEN_E_FORMAT, "tensor %s appears twice", s->list[i].name);
    return KEN_OK;
}

const cv_tensor *cv_set_find(const cv_set *s, const char *name)
{
    size_t lo = 0, hi = s->len;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        const int order = strcmp(name, s->list[mid].name);
        if (!order)
            return &s->list[mid];
        if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

/* ---- tensors ---- */

void cv_contiguous(cv_tensor *t)
{
    uint64_t step = 1;
    for (uint32_t i = t->rank; i-- > 0;) {
        t->stride[i] = step;
        step *= t->shape[i] ? t->shape[i] : 1; /* wraps only where cv_check_inside says so */
    }
}

ken_status cv_check_inside(const cv_tensor *t, uint64_t elements)
{
    uint64_t last = 0, reach, count = 1;
    for (uint32_t i = 0; i < t->rank; i++)
        if (!t->shape[i])
            return KEN_OK;
    for (uint32_t i = 0; i < t->rank; i++)
        if (__builtin_mul_overflow(count, t->shape[i], &count))
            return kn_fail(KEN_E_FORMAT, "the shape overflows");
    if (count > elements && count > MAX_EXPANDED) /* strides of 0 */
        return kn_fail(KEN_E_LIMIT, "%llu elements made of %llu", (unsigned long long)count,
                       (unsigned long long)elements);
    for (uint32_t i = 0; i < t->rank; i++)
        if (__builtin_mul_overflow(t->shape[i] - 1, t->stride[i], &reach) ||
            __builtin_add_overflow(last, reach, &last))
            return kn_fail(KEN_E_FORMAT, "shape and strides overflow");
    if (last >= elements)
        return kn_fail(KEN_E_FORMAT, "element %llu of a storage of %llu", (unsigned long long)last,
                       (unsigned long long)elements);
    return KEN_OK;
}

void cv_describe(const cv_tensor *t, char *out, size_t cap)
{
    size_t at = (size_t)snprintf(out, cap, "%s [", kn_dtype_name(t->dtype));
    for (uint32_t i = 0; i < t->rank && at < cap; i++)
        at += (size_t)snprintf(out + at, cap - at, i ? ", %llu" : "%llu",
                               (unsigned long long)t->shape[i]);
    if (at < cap)
        snprintf(out + at, cap - at, "]");
}

/* ---- views ---- */

cv_view cv_view_of(const cv_tensor *t)
{
    cv_view v = { .t = t, .rank = t->rank };
    memcpy(v.shape, t->shape, sizeof v.shape);
    memcpy(v.stride, t->stride, sizeof v.stride);
    return v;
}

cv_view cv_view_permuted(const cv_view *v, const uint32_t *order)
{
    cv_view out = *v;
    for (uint32_t i = 0; i < v->rank; i++) {
        out.shape[i] = v->shape[order[i]];
        out.stride[i] = v->stride[order[i]];
    }
    return out;
}

uint64_t cv_view_rows(const cv_view *v)
{
    return v->rank ? v->shape[0] : 1;
}

uint64_t cv_view_cols(const cv_view *v)
{
    uint64_t n = 1;
    for (uint32_t i = 1; i < v->rank; i++)
        n *= v->shape[i];
    return n;
}

static void to_floats(kn_dtype type, const void *in, size_t n, float *out)
{
    const kn_kernels *k = kn_kernels_get();
    if (type == KN_DT_F16)
        k->f16_to_f32(in, out, n);
    else if (type == KN_DT_BF16)
        k->bf16_to_f32(in, out, n);
    else if (type == KN_DT_F32)
        memcpy(out, in, n * sizeof *out);
    else
        for (size_t i = 0; i < n; i++)
            out[i] = (float)((const double *)in)[i];
}

/* n elements, `stride` apart, through a buffer: the file's may lie at any address. */
static void gather(kn_dtype type, const unsigned char *p, uint64_t stride, uint64_t n, float *out)
{
    const size_t size = kn_dtype_bytes(type);
    double buffer[CHUNK];
    while (n) {
        const size_t some = n < CHUNK ? (size_t)n : CHUNK;
        unsigned char *to = (unsigned char *)buffer;
        if (stride == 1)
            memcpy(to, p, some * size);
        else
            for (size_t i = 0; i < some; i++)
                memcpy(to + i * size, p + i * stride * size, size);
        to_floats(type, buffer, some, out);
        p += some * stride * size;
        out += some;
        n -= some;
    }
}

static int is_float(kn_dtype t)
{
    return t == KN_DT_F16 || t == KN_DT_BF16 || t == KN_DT_F32 || t == KN_DT_F64;
}

/* Element 0, inflated if need be. */
static ken_status element_zero(cv_set *s, const cv_tensor *t, const unsigned char **out)
{
    if (t->problem)
        return kn_fail(KEN_E_FORMAT, "tensor %s: %s", t->name, t->problem);
    if (!is_float(t->dtype))
        return kn_fail(KEN_E_FORMAT, "tensor %s: type %s where floats are wanted", t->name,
                       kn_dtype_name(t->dtype));
    if (!t->packed) {
        *out = t->data;
        return KEN_OK;
    }
    if (s->inflated != t) {
        kn_free(s->scratch);
        s->scratch = NULL;
        s->inflated = NULL;
        ken_status st = kn_zip_read(t->packed, &s->scratch);
        if (st)
            return kn_fail_in(st, "tensor %s", t->name);
        s->inflated = t;
    }
    *out = s->scratch + t->skip;
    return KEN_OK;
}

/* Elements of axes `axis` and up, in row-major order. */
static float *gather_axes(const cv_view *v, uint32_t axis, const unsigned char *p, float *out)
{
    const size_t size = kn_dtype_bytes(v->t->dtype);
    if (axis >= v->rank) {
        gather(v->t->dtype, p, 1, 1, out);
        return out + 1;
    }
    if (axis + 1 == v->rank) {
        gather(v->t->dtype, p, v->stride[axis], v->shape[axis], out);
        return out + v->shape[axis];
    }
    for (uint64_t i = 0; i < v->shape[axis]; i++)
        out = gather_axes(v, axis + 1, p + i * v->stride[axis] * size, out);
    return out;
}

/* An axis without elements: there is nothing to walk over, however long the others are. */
static int is_empty(const cv_view *v)
{
    for (uint32_t i = 0; i < v->rank; i++)
        if (!v->shape[i])
            return 1;
    return 0;
}

ken_status cv_view_row(cv_set *s, const cv_view *v, uint64_t i, float *out)
{
    const unsigned char *p = NULL;
    ken_status st = element_zero(s, v->t, &p);
    if (st || is_empty(v))
        return st;
    const uint64_t first = v->offset + (v->rank ? i * v->stride[0] : 0);
    gather_axes(v, 1, p + first * kn_dtype_bytes(v->t->dtype), out);
    return KEN_OK;
}

ken_status cv_view_all(cv_set *s, const cv_view *v, float *out)
{
    const unsigned char *p = NULL;
    ken_status st = element_zero(s, v->t, &p);
    if (!st && !is_empty(v))
        gather_axes(v, 0, p + v->offset * kn_dtype_bytes(v->t->dtype), out);
    return st;
}
