/* buf.c - bytes that grow by doubling. */
#include "base/buf.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void kn_buf_init(kn_buf *b, size_t max)
{
    *b = (kn_buf){ .max = max };
}

void kn_buf_release(kn_buf *b)
{
    kn_free(b->data);
    kn_buf_init(b, b->max);
}

static ken_status reserve(kn_buf *b, size_t n)
{
    if (n > b->max || b->len > b->max - n)
        return kn_fail(KEN_E_LIMIT, "more than %zu bytes", b->max);
    if (b->len + n < b->cap)
        return KEN_OK;
    size_t cap = b->cap ? b->cap * 2 : 64;
    while (cap <= b->len + n)
        cap *= 2;
    char *data = kn_grow(b->data, cap, 1);
    if (!data)
        return KEN_E_NOMEM;
    b->data = data;
    b->cap = cap;
    return KEN_OK;
}

ken_status kn_buf_add(kn_buf *b, const void *bytes, size_t n)
{
    ken_status st = reserve(b, n);
    if (st)
        return st;
    if (n)
        memcpy(b->data + b->len, bytes, n);
    b->len += n;
    b->data[b->len] = 0;
    return KEN_OK;
}

ken_status kn_buf_adds(kn_buf *b, const char *s)
{
    return kn_buf_add(b, s, strlen(s));
}

ken_status kn_buf_addf(kn_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return kn_fail(KEN_E_INVALID, "bad format");
    ken_status st = reserve(b, (size_t)n);
    if (st)
        return st;
    va_start(ap, fmt);
    vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
    return KEN_OK;
}

char *kn_buf_take(kn_buf *b)
{
    if (!b->data && kn_buf_add(b, "", 0))
        return NULL;
    char *data = b->data;
    kn_buf_init(b, b->max);
    return data;
}
