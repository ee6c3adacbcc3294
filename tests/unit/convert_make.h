/* convert_make.h - archives and pickles made by hand, honest and otherwise. */
#ifndef CONVERT_MAKE_H
#define CONVERT_MAKE_H

#include "tests/test.h"

#include "base/inflate.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

typedef struct bytes {
    unsigned char *p;
    size_t n, cap;
} bytes;

static inline void put(bytes *b, const void *p, size_t n)
{
    if (b->n + n > b->cap) {
        b->cap = (b->n + n) * 2;
        b->p = realloc(b->p, b->cap);
        ck_assert_ptr_nonnull(b->p);
    }
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
}

static inline void put_text(bytes *b, const char *s)
{
    put(b, s, strlen(s));
}

static inline void put_number(bytes *b, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++, v >>= 8)
        put(b, &(unsigned char){ (unsigned char)v }, 1);
}

static inline void empty(bytes *b)
{
    free(b->p);
    *b = (bytes){ 0 };
}

/* ---- pickles ---- */

static inline void pickle_text(bytes *b, const char *s)
{
    put_text(b, "X");
    put_number(b, strlen(s), 4);
    put_text(b, s);
}

static inline void pickle_int(bytes *b, int64_t v)
{
    put_text(b, "\x8a\x08");
    put_number(b, (uint64_t)v, 8);
}

/* A tensor of two axes over storage `key` of that many floats. */
typedef struct made_tensor {
    const char *key;
    int64_t elements, offset, shape[2], stride[2];
} made_tensor;

static inline void pickle_pair(bytes *b, const int64_t v[2])
{
    pickle_int(b, v[0]);
    pickle_int(b, v[1]);
    put_text(b, "\x86");
}

static inline void pickle_tensor(bytes *b, const made_tensor *t)
{
    put_text(b, "ctorch._utils\n_rebuild_tensor_v2\n((");
    pickle_text(b, "storage");
    put_text(b, "ctorch\nFloatStorage\n");
    pickle_text(b, t->key);
    pickle_text(b, "cpu");
    pickle_int(b, t->elements);
    put_text(b, "tQ");
    pickle_int(b, t->offset);
    pickle_pair(b, t->shape);
    pickle_pair(b, t->stride);
    put_text(b, "\x89"
                "ccollections\nOrderedDict\n)RtR");
}

/* {"w": tensor} */
static inline bytes pickle_state(const made_tensor *t)
{
    bytes b = { 0 };
    put_text(&b, "\x80\x02}");
    pickle_text(&b, "w");
    pickle_tensor(&b, t);
    put_text(&b, "s.");
    return b;
}

/* ---- zips ---- */

enum { STREAMED = 1, ZIP64 = 2, DEFLATE = 4, ENCRYPT = 8, RENAMED = 16 };

typedef struct zip {
    bytes file, directory;
    unsigned entries;
} zip;

static inline void put_local(zip *z, const char *name, size_t stored, size_t size, unsigned how)
{
    put_text(&z->file, "PK\x03\x04");
    put_number(&z->file, 45, 2);
    put_number(&z->file, (how & STREAMED ? 8 : 0) | (how & ENCRYPT ? 1 : 0), 2);
    put_number(&z->file, how & DEFLATE ? 8 : 0, 2);
    put_number(&z->file, 0, 8); /* time, checksum */
    put_number(&z->file, how & STREAMED ? 0 : stored, 4);
    put_number(&z->file, how & STREAMED ? 0 : size, 4);
    put_number(&z->file, strlen(name), 2);
    put_number(&z->file, 7, 2);
    if (how & RENAMED)
        for (size_t i = 0; i < strlen(name); i++)
            put_text(&z->file, "x");
    else
        put_text(&z->file, name);
    put(&z->file, "FB\x03\x00ZZZ", 7); /* torch's padding */
}

static inline void put_central(zip *z, const char *name, uint64_t at, uint64_t stored,
                               uint64_t size, uint32_t crc, unsigned how)
{
    bytes *d = &z->directory;
    put_text(d, "PK\x01\x02");
    put_number(d, 45, 2);
    put_number(d, 45, 2);
    put_number(d, (how & STREAMED ? 8 : 0) | (how & ENCRYPT ? 1 : 0), 2);
    put_number(d, how & DEFLATE ? 8 : 0, 2);
    put_number(d, 0, 4);
    put_number(d, crc, 4);
    put_number(d, how & ZIP64 ? UINT32_MAX : stored, 4);
    put_number(d, how & ZIP64 ? UINT32_MAX : size, 4);
    put_number(d, strlen(name), 2);
    put_number(d, how & ZIP64 ? 28 : 0, 2);
    put_number(d, 0, 10);
    put_number(d, how & ZIP64 ? UINT32_MAX : at, 4);
    put_text(d, name);
    if (how & ZIP64) {
        put_number(d, 1, 2);
        put_number(d, 24, 2);
        put_number(d, size, 8);
        put_number(d, stored, 8);
        put_number(d, at, 8);
    }
    z->entries++;
}

/* DEFLATE stores them in one block that is not compressed. */
static inline void zip_add(zip *z, const char *name, const void *p, size_t n, unsigned how)
{
    const uint64_t at = z->file.n;
    bytes stored = { 0 };
    if (how & DEFLATE) {
        put_number(&stored, 1, 1);
        put_number(&stored, n, 2);
        put_number(&stored, ~n, 2);
    }
    put(&stored, p, n);
    put_local(z, name, stored.n, n, how);
    put(&z->file, stored.p, stored.n);
    put_central(z, name, at, stored.n, n, kn_crc32(p, n), how);
    empty(&stored);
}

static inline bytes zip_end(zip *z, unsigned how)
{
    const uint64_t at = z->file.n, size = z->directory.n;
    put(&z->file, z->directory.p, z->directory.n);
    if (how & ZIP64) {
        const uint64_t end64 = z->file.n;
        put_text(&z->file, "PK\x06\x06");
        put_number(&z->file, 44, 8);
        put_number(&z->file, 45, 2);
        put_number(&z->file, 45, 2);
        put_number(&z->file, 0, 8);
        put_number(&z->file, z->entries, 8);
        put_number(&z->file, z->entries, 8);
        put_number(&z->file, size, 8);
        put_number(&z->file, at, 8);
        put_text(&z->file, "PK\x06\x07");
        put_number(&z->file, 0, 4);
        put_number(&z->file, end64, 8);
        put_number(&z->file, 1, 4);
    }
    put_text(&z->file, "PK\x05\x06");
    put_number(&z->file, 0, 4);
    put_number(&z->file, how & ZIP64 ? UINT16_MAX : z->entries, 2);
    put_number(&z->file, how & ZIP64 ? UINT16_MAX : z->entries, 2);
    put_number(&z->file, how & ZIP64 ? UINT32_MAX : size, 4);
    put_number(&z->file, how & ZIP64 ? UINT32_MAX : at, 4);
    put_number(&z->file, 0, 2);
    const bytes out = z->file;
    free(z->directory.p);
    *z = (zip){ 0 };
    return out;
}

/* A torch archive of one pickle, taken, and one storage of n floats 0, 1, 2 … */
static inline bytes torch_archive(bytes *pickle, size_t n, unsigned how)
{
    zip z = { 0 };
    float *values = malloc((n + 1) * sizeof *values);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)i;
    zip_add(&z, "a/data.pkl", pickle->p, pickle->n, how);
    zip_add(&z, "a/byteorder", "little", 6, how);
    zip_add(&z, "a/data/0", values, n * sizeof *values, how);
    zip_add(&z, "a/version", "3\n", 2, how);
    empty(pickle);
    free(values);
    return zip_end(&z, how);
}

#endif
