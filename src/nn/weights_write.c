/*
 * weights_write.c - writer of safetensors files.
 *
 * Nothing may lie between tensors, so alignment comes from the order: first those whose sizes are
 * multiples of 64, then the rest by the size of their elements.  The header is padded with spaces
 * so that the data begins at a multiple of 64.  The output is reserved on disk, then mapped: a
 * full disk is an error before the first byte, not a signal in the middle.
 */
#include "nn/weights.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGN = 64, PREFIX = 8, HEX = 32 };
#define MAX_HEADER ((size_t)100000000)

typedef struct entry {
    kn_tensor t; /* name is ours */
    uint64_t offset;
} entry;

typedef struct pair {
    char *key, *value;
} pair;

struct kn_writer {
    entry *entries;
    size_t len, cap;
    pair *meta;
    size_t meta_len, meta_cap;
    kn_replace file;
    unsigned char *map;
    size_t bytes, data_at, checksum_at;
};

ken_status kn_writer_new(kn_writer **out)
{
    kn_writer *w = kn_zalloc(1, sizeof *w);
    if (!w)
        return KEN_E_NOMEM;
    w->file.fd = -1;
    *out = w;
    return KEN_OK;
}

void kn_writer_free(kn_writer *w)
{
    if (!w)
        return;
    if (w->map)
        munmap(w->map, w->bytes);
    kn_replace_abort(&w->file);
    for (size_t i = 0; i < w->len; i++)
        kn_free((char *)(uintptr_t)w->entries[i].t.name);
    for (size_t i = 0; i < w->meta_len; i++) {
        kn_free(w->meta[i].key);
        kn_free(w->meta[i].value);
    }
    kn_free(w->entries);
    kn_free(w->meta);
    kn_free(w);
}

ken_status kn_writer_meta(kn_writer *w, const char *key, const char *value)
{
    pair *meta = kn_room(w->meta, w->meta_len, &w->meta_cap, sizeof *meta);
    if (!meta)
        return KEN_E_NOMEM;
    w->meta = meta;
    const pair p = { kn_strdup(key), kn_strdup(value) };
    if (!p.key || !p.value) {
        kn_free(p.key);
        kn_free(p.value);
        return KEN_E_NOMEM;
    }
    meta[w->meta_len++] = p;
    return KEN_OK;
}

ken_status kn_writer_declare(kn_writer *w, const char *name, kn_dtype dtype, uint32_t rank,
                             const uint64_t *shape)
{
    entry e = { .t = { .dtype = dtype, .rank = rank } };
    uint64_t bytes = kn_dtype_bytes(dtype);
    if (rank > KN_MAX_RANK || !bytes)
        return kn_fail(KEN_E_INVALID, "tensor %s: %u axes of %s", name, rank, kn_dtype_name(dtype));
    for (uint32_t i = 0; i < rank; i++) {
        e.t.shape[i] = shape[i];
        if (__builtin_mul_overflow(bytes, shape[i], &bytes))
            return kn_fail(KEN_E_LIMIT, "tensor %s: the shape overflows", name);
    }
    e.t.bytes = bytes;
    entry *entries = kn_room(w->entries, w->len, &w->cap, sizeof *entries);
    if (!entries)
        return KEN_E_NOMEM;
    w->entries = entries;
    e.t.name = kn_strdup(name);
    if (!e.t.name)
        return KEN_E_NOMEM;
    entries[w->len++] = e;
    return KEN_OK;
}

/* ---- layout ---- */

static int by_layout(const void *a, const void *b)
{
    const kn_tensor *x = &((const entry *)a)->t, *y = &((const entry *)b)->t;
    const int odd_x = x->bytes % ALIGN != 0, odd_y = y->bytes % ALIGN != 0;
    const size_t size_x = kn_dtype_bytes(x->dtype), size_y = kn_dtype_bytes(y->dtype);
    if (odd_x != odd_y)
        return odd_x - odd_y;
    if (odd_x && size_x != size_y)
        return size_x < size_y ? 1 : -1;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return strcmp(x->name, y->name);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const pair *)a)->key, ((const pair *)b)->key);
}

static ken_status quote(kn_buf *b, const char *s)
{
    ken_status st = kn_buf_adds(b, "\"");
    for (; !st && *s; s++) {
        const unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            st = kn_buf_addf(b, "\\%c", c);
        else if (c < 0x20)
            st = kn_buf_addf(b, "\\u%04x", c);
        else
            st = kn_buf_add(b, s, 1);
    }
    return st ? st : kn_buf_adds(b, "\"");
}

static ken_status put_entry(kn_buf *b, const entry *e)
{
    ken_status st = kn_buf_adds(b, ",");
    if (!st)
        st = quote(b, e->t.name);
    if (!st)
        st = kn_buf_addf(b, ":{\"dtype\":\"%s\",\"shape\":[", kn_dtype_name(e->t.dtype));
    for (uint32_t i = 0; !st && i < e->t.rank; i++)
        st = kn_buf_addf(b, "%s%llu", i ? "," : "", (unsigned long long)e->t.shape[i]);
    if (st)
        return st;
    return kn_buf_addf(b, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)e->offset,
                       (unsigned long long)(e->offset + e->t.bytes));
}

/* {"__metadata__":{"checksum":"…32 digits, filled in at the end…", …}, tensors…} */
static ken_status put_header(kn_writer *w, kn_buf *b)
{
    ken_status st = kn_buf_adds(b, "{\"__metadata__\":{\"checksum\":\"");
    w->checksum_at = PREFIX + b->len;
    if (!st)
        st = kn_buf_addf(b, "%0*d\"", HEX, 0);
    for (size_t i = 0; !st && i < w->meta_len; i++) {
        st = kn_buf_adds(b, ",");
        if (!st)
            st = quote(b, w->meta[i].key);
        if (!st)
            st = kn_buf_adds(b, ":");
        if (!st)
            st = quote(b, w->meta[i].value);
    }
    if (!st)
        st = kn_buf_adds(b, "}");
    for (size_t i = 0; !st && i < w->len; i++)
        st = put_entry(b, &w->entries[i]);
    if (!st)
        st = kn_buf_adds(b, "}");
    while (!st && (PREFIX + b->len) % ALIGN)
        st = kn_buf_adds(b, " ");
    return st;
}

static ken_status place(kn_writer *w)
{
    uint64_t at = 0;
    if (w->len)
        qsort(w->entries, w->len, sizeof *w->entries, by_layout);
    if (w->meta_len)
        qsort(w->meta, w->meta_len, sizeof *w->meta, by_key);
    for (size_t i = 0; i < w->len; i++) {
        w->entries[i].offset = at;
        if (__builtin_add_overflow(at, w->entries[i].t.bytes, &at))
            return kn_fail(KEN_E_LIMIT, "the tensors overflow");
    }
    w->bytes = at;
    return KEN_OK;
}

static ken_status map_output(kn_writer *w)
{
    ken_status st = kn_reserve(w->file.fd, w->bytes);
    if (st)
        return st;
    w->map = mmap(NULL, w->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, w->file.fd, 0);
    if (w->map == MAP_FAILED) {
        w->map = NULL;
        return kn_fail_errno(errno);
    }
    return KEN_OK;
}

ken_status kn_writer_begin(kn_writer *w, const char *path)
{
    kn_buf header;
    kn_buf_init(&header, MAX_HEADER);
    ken_status st = place(w);
    if (!st)
        st = put_header(w, &header);
    if (!st)
        st = kn_replace_begin(&w->file, path);
    if (!st) {
        w->data_at = PREFIX + header.len;
        w->bytes += w->data_at;
        st = map_output(w);
        if (st)
            kn_fail_in(st, "%s", path);
    }
    if (!st) {
        const uint64_t n = header.len;
        memcpy(w->map, &n, sizeof n);
        memcpy(w->map + PREFIX, header.data, header.len);
    }
    kn_buf_release(&header);
    return st;
}

void *kn_writer_data(kn_writer *w, const char *name, size_t *bytes)
{
    for (size_t i = 0; i < w->len; i++)
        if (!strcmp(w->entries[i].t.name, name)) {
            if (bytes)
                *bytes = w->entries[i].t.bytes;
            return w->map + w->data_at + w->entries[i].offset;
        }
    return NULL;
}

ken_status kn_writer_commit(kn_writer *w)
{
    char hex[HEX + 1];
    kn_hash128_hex(hex, w->map + w->data_at, w->bytes - w->data_at);
    memcpy(w->map + w->checksum_at, hex, HEX);
    if (msync(w->map, w->bytes, MS_SYNC) != 0)
        return kn_fail_in(kn_fail_errno(errno), "%s", w->file.path);
    munmap(w->map, w->bytes);
    w->map = NULL;
    return kn_replace_commit(&w->file);
}
