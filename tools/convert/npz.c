/*
 * npz.c - npy headers (numpy/lib/format.py): magic, version, length, and a Python literal
 *
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
 *
 * whose three members are looked for one by one; nothing is evaluated.
 */
#include "tools/convert/npz.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdio.h>
#include <string.h>

enum { MAGIC = 8, MAX_HEADER = 1 << 16 };

static const struct {
    const char *descr;
    kn_dtype dtype;
} descrs[] = {
    { "<f4", KN_DT_F32 },  { "<f2", KN_DT_F16 }, { "<f8", KN_DT_F64 }, { "<i8", KN_DT_I64 },
    { "<i4", KN_DT_I32 },  { "<i2", KN_DT_I16 }, { "|i1", KN_DT_I8 },  { "|u1", KN_DT_U8 },
    { "<u2", KN_DT_U16 },  { "<u4", KN_DT_U32 }, { "<u8", KN_DT_U64 }, { "|b1", KN_DT_BOOL },
    { "|V2", KN_DT_BF16 }, /* what ml_dtypes' bfloat16 is to numpy */
};

/* Behind 'key': and blanks, or NULL. */
static const char *member(const char *header, const char *key)
{
    const char *p = strstr(header, key);
    if (!p)
        return NULL;
    p += strlen(key);
    return p + strspn(p, " ");
}

static ken_status read_descr(const char *header, kn_dtype *out)
{
    const char *p = member(header, "'descr':");
    for (size_t i = 0; p && i < sizeof descrs / sizeof *descrs; i++)
        if (p[0] == '\'' && !strncmp(p + 1, descrs[i].descr, 3) && p[4] == '\'') {
            *out = descrs[i].dtype;
            return KEN_OK;
        }
    return kn_fail(KEN_E_UNSUPPORTED, "its type is none that weights have");
}

static ken_status read_axes(const char *header, cv_tensor *t)
{
    const char *p = member(header, "'shape':");
    if (!p || *p++ != '(')
        return kn_fail(KEN_E_FORMAT, "no shape");
    while (*p != ')') {
        uint64_t n = 0;
        if (*p < '0' || *p > '9' || t->rank == KN_MAX_RANK)
            return kn_fail(KEN_E_FORMAT, "not a shape of at most %d axes", KN_MAX_RANK);
        for (; *p >= '0' && *p <= '9'; p++)
            if (__builtin_mul_overflow(n, 10, &n) ||
                __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
                return kn_fail(KEN_E_FORMAT, "the shape overflows");
        t->shape[t->rank++] = n;
        p += strspn(p, "L ");
        p += *p == ',';
        p += strspn(p, " ");
    }
    return KEN_OK;
}

static ken_status set_strides(const char *header, cv_tensor *t)
{
    const char *p = member(header, "'fortran_order':");
    uint64_t step = 1;
    cv_contiguous(t);
    if (!p || (strncmp(p, "False", 5) != 0 && strncmp(p, "True", 4) != 0))
        return kn_fail(KEN_E_FORMAT, "no fortran_order");
    for (uint32_t i = 0; *p == 'T' && i < t->rank; i++) {
        t->stride[i] = step;
        step *= t->shape[i] ? t->shape[i] : 1;
    }
    return KEN_OK;
}

/* The header of the array at p; t->skip is its length. */
static ken_status read_header(const unsigned char *p, uint64_t len, cv_tensor *t)
{
    char header[MAX_HEADER + 1];
    uint64_t n, bytes;
    if (len < MAGIC + 4 || memcmp(p, "\x93NUMPY", 6) != 0 || p[6] < 1 || p[6] > 3)
        return kn_fail(KEN_E_FORMAT, "not an npy array");
    const size_t at = p[6] == 1 ? MAGIC + 2 : MAGIC + 4;
    n = p[MAGIC] | (uint64_t)p[MAGIC + 1] << 8;
    if (p[6] > 1)
        n |= (uint64_t)p[MAGIC + 2] << 16 | (uint64_t)p[MAGIC + 3] << 24;
    if (n > MAX_HEADER || n > len - at)
        return kn_fail(KEN_E_FORMAT, "a header of %llu bytes", (unsigned long long)n);
    memcpy(header, p + at, n);
    header[n] = 0;
    t->skip = at + n;
    ken_status st = read_descr(header, &t->dtype);
    if (!st)
        st = read_axes(header, t);
    if (!st)
        st = set_strides(header, t);
    if (st)
        return st;
    bytes = kn_dtype_bytes(t->dtype);
    for (uint32_t i = 0; i < t->rank; i++)
        if (__builtin_mul_overflow(bytes, t->shape[i], &bytes))
            return kn_fail(KEN_E_FORMAT, "the shape overflows");
    if (bytes != len - t->skip)
        return kn_fail(KEN_E_FORMAT, "%llu bytes of data, the shape says %llu",
                       (unsigned long long)(len - t->skip), (unsigned long long)bytes);
    return KEN_OK;
}

static ken_status read_entry(const kn_zip_entry *e, cv_tensor *t)
{
    unsigned char *bytes = NULL;
    if (!e->deflated) {
        ken_status st = read_header(e->data, e->size, t);
        t->data = e->data + t->skip;
        return st;
    }
    ken_status st = kn_zip_read(e, &bytes);
    if (!st)
        st = read_header(bytes, e->size, t);
    kn_free(bytes);
    t->packed = e;
    return st;
}

ken_status cv_read_npz(cv_set *s, const kn_zip *z, const char *file)
{
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < z->len; i++) {
        const kn_zip_entry *e = &z->list[i];
        const size_t n = strlen(e->name);
        cv_tensor t = { .file = file };
        if (n < 5 || strcmp(e->name + n - 4, ".npy") != 0)
            continue;
        st = read_entry(e, &t);
        char *name = st ? NULL : kn_strndup(e->name, n - 4);
        if (!st)
            st = name ? cv_set_add(s, name, &t) : KEN_E_NOMEM;
        kn_free(name);
        if (st)
            return kn_fail_in(st, "entry %.200s", e->name);
    }
    return st;
}
