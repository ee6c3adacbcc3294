/*
 * zip.c - reading the central directory.
 *
 * PKWARE APPNOTE 6.3: end record 4.3.16, its ZIP64 kin 4.3.14 and 4.3.15, central headers 4.3.12,
 * local headers 4.3.7.  Sizes are the central directory's: a local header may hold zeros where its
 * entry was streamed (flag bit 3); where the data begins only the local one knows.
 */
#include "base/zip.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/inflate.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    END = 22,
    LOCATOR = 20,
    END64 = 56,
    CENTRAL = 46,
    LOCAL = 30,
    MAX_COMMENT = 65535,
    STORED = 0,
    DEFLATED = 8,
    ENCRYPTED = 1,
    ZIP64_FIELD = 1,
    MAX_RATIO = 1032 /* deflate cannot do better */
};
static const size_t MAX_FILE = (size_t)1 << 34;
static const uint64_t UNSET16 = 0xffff, UNSET32 = 0xffffffff;

typedef struct archive {
    const unsigned char *bytes;
    uint64_t len;
    uint64_t count, at, size; /* of the central directory */
} archive;

static uint64_t get(const unsigned char *p, int bytes)
{
    uint64_t v = 0;
    for (int i = bytes; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

static int is_signed(const unsigned char *p, char a, char b)
{
    return p[0] == 'P' && p[1] == 'K' && p[2] == a && p[3] == b;
}

/* ---- the end record ---- */

/* The last one whose comment ends with the file. */
static const unsigned char *find_end(const archive *a)
{
    if (a->len < END)
        return NULL;
    const uint64_t lowest = a->len > END + MAX_COMMENT ? a->len - END - MAX_COMMENT : 0;
    for (uint64_t i = a->len - END + 1; i-- > lowest;)
        if (is_signed(a->bytes + i, 5, 6) && i + END + get(a->bytes + i + 20, 2) == a->len)
            return a->bytes + i;
    return NULL;
}

static ken_status read_end64(archive *a, uint64_t end)
{
    const unsigned char *locator = a->bytes + end - LOCATOR;
    const uint64_t at = get(locator + 8, 8);
    if (at > end - LOCATOR || end - LOCATOR - at < END64 || !is_signed(a->bytes + at, 6, 6))
        return kn_fail(KEN_E_FORMAT, "zip: the ZIP64 end record is not at byte %llu",
                       (unsigned long long)at);
    const unsigned char *p = a->bytes + at;
    a->count = get(p + 32, 8);
    a->size = get(p + 40, 8);
    a->at = get(p + 48, 8);
    return KEN_OK;
}

static ken_status read_end(archive *a)
{
    const unsigned char *p = find_end(a);
    if (!p)
        return kn_fail(KEN_E_FORMAT, "zip: no end record (truncated?)");
    const uint64_t end = (uint64_t)(p - a->bytes);
    a->count = get(p + 10, 2);
    a->size = get(p + 12, 4);
    a->at = get(p + 16, 4);
    const int more = a->count == UNSET16 || a->size == UNSET32 || a->at == UNSET32;
    if (more && end >= LOCATOR && is_signed(p - LOCATOR, 6, 7)) {
        ken_status st = read_end64(a, end);
        if (st)
            return st;
    }
    if (a->at > end || a->size > end - a->at)
        return kn_fail(KEN_E_FORMAT, "zip: the directory lies outside the file");
    if (a->count > a->size / CENTRAL)
        return kn_fail(KEN_E_FORMAT, "zip: %llu entries in a directory of %llu bytes",
                       (unsigned long long)a->count, (unsigned long long)a->size);
    return KEN_OK;
}

/* ---- entries ---- */

typedef struct header {
    const unsigned char *name;
    uint64_t name_len, stored, size, local;
    uint32_t flags, method, crc;
} header;

/* Values too large for 32 bits are in the extra field, in this order, each only if it is. */
static ken_status read_zip64(header *h, const unsigned char *p, uint64_t len)
{
    uint64_t *want[] = { &h->size, &h->stored, &h->local };
    while (len >= 4) {
        const uint64_t n = get(p + 2, 2);
        if (n > len - 4)
            break;
        if (get(p, 2) == ZIP64_FIELD) {
            uint64_t at = 0;
            for (int i = 0; i < 3; i++)
                if (*want[i] == UNSET32) {
                    if (at + 8 > n)
                        return kn_fail(KEN_E_FORMAT, "the ZIP64 field is too short");
                    *want[i] = get(p + 4 + at, 8);
                    at += 8;
                }
            return KEN_OK;
        }
        p += 4 + n;
        len -= 4 + n;
    }
    return KEN_OK;
}

/* A plain relative name: no entry may claim a place outside the archive. */
static ken_status check_name(const unsigned char *p, uint64_t n)
{
    if (!n || p[0] == '/' || memchr(p, 0, n) || memchr(p, '\\', n) || (n > 1 && p[1] == ':'))
        return kn_fail(KEN_E_FORMAT, "not a plain relative name");
    for (uint64_t i = 0; i + 1 < n; i++)
        if (p[i] == '.' && p[i + 1] == '.' && (i == 0 || p[i - 1] == '/') &&
            (i + 2 == n || p[i + 2] == '/'))
            return kn_fail(KEN_E_FORMAT, "a name that climbs out with '..'");
    return KEN_OK;
}

static ken_status find_data(const archive *a, const header *h, kn_zip_entry *e)
{
    if (h->local > a->at || a->at - h->local < LOCAL || !is_signed(a->bytes + h->local, 3, 4))
        return kn_fail(KEN_E_FORMAT, "no local header at byte %llu", (unsigned long long)h->local);
    const unsigned char *p = a->bytes + h->local;
    const uint64_t room = a->at - h->local - LOCAL, name = get(p + 26, 2), extra = get(p + 28, 2);
    if (name + extra > room || h->stored > room - name - extra)
        return kn_fail(KEN_E_FORMAT, "%llu bytes of data reach into the directory",
                       (unsigned long long)h->stored);
    if (name != h->name_len || memcmp(p + LOCAL, h->name, name) != 0)
        return kn_fail(KEN_E_FORMAT, "its local header has another name");
    e->data = p + LOCAL + name + extra;
    return KEN_OK;
}

static ken_status check_entry(const archive *a, const header *h, kn_zip_entry *e)
{
    ken_status st = check_name(h->name, h->name_len);
    if (!st && (h->flags & ENCRYPTED))
        st = kn_fail(KEN_E_UNSUPPORTED, "encrypted");
    if (!st && h->method != STORED && h->method != DEFLATED)
        st = kn_fail(KEN_E_UNSUPPORTED, "compression method %u", h->method);
    if (!st && h->method == STORED && h->stored != h->size)
        st = kn_fail(KEN_E_FORMAT, "stored, but of two sizes");
    if (!st && h->size / MAX_RATIO > h->stored)
        st = kn_fail(KEN_E_FORMAT, "%llu bytes cannot come from %llu", (unsigned long long)h->size,
                     (unsigned long long)h->stored);
    if (!st)
        st = find_data(a, h, e);
    e->stored = h->stored;
    e->size = h->size;
    e->crc = h->crc;
    e->deflated = h->method == DEFLATED;
    return st;
}

/* One central header; *at is moved behind it. */
static ken_status read_entry(const archive *a, uint64_t *at, kn_zip_entry *e)
{
    const unsigned char *p = a->bytes + *at;
    const uint64_t room = a->at + a->size - *at;
    if (room < CENTRAL || !is_signed(p, 1, 2))
        return kn_fail(KEN_E_FORMAT, "no directory entry at byte %llu", (unsigned long long)*at);
    const uint64_t name = get(p + 28, 2), extra = get(p + 30, 2), comment = get(p + 32, 2);
    if (name + extra + comment > room - CENTRAL)
        return kn_fail(KEN_E_FORMAT, "directory entry at byte %llu: cut off",
                       (unsigned long long)*at);
    header h = { .name = p + CENTRAL,
                 .name_len = name,
                 .stored = get(p + 20, 4),
                 .size = get(p + 24, 4),
                 .local = get(p + 42, 4),
                 .flags = (uint32_t)get(p + 8, 2),
                 .method = (uint32_t)get(p + 10, 2),
                 .crc = (uint32_t)get(p + 16, 4) };
    e->name = kn_strndup((const char *)h.name, name);
    if (!e->name)
        return KEN_E_NOMEM;
    ken_status st = read_zip64(&h, p + CENTRAL + name, extra);
    if (!st)
        st = check_entry(a, &h, e);
    if (st)
        return kn_fail_in(st, "entry %.100s", e->name);
    *at += CENTRAL + name + extra + comment;
    return KEN_OK;
}

static int by_place(const void *a, const void *b)
{
    const kn_zip_entry *x = a, *y = b;
    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    return (x->stored > y->stored) - (x->stored < y->stored);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const kn_zip_entry *)a)->name, ((const kn_zip_entry *)b)->name);
}

static ken_status check_apart(kn_zip *z)
{
    if (!z->len)
        return KEN_OK;
    qsort(z->list, z->len, sizeof *z->list, by_place);
    for (size_t i = 1; i < z->len; i++)
        if (z->list[i].data < z->list[i - 1].data + z->list[i - 1].stored + LOCAL)
            return kn_fail(KEN_E_FORMAT, "entry %.100s overlaps another", z->list[i].name);
    qsort(z->list, z->len, sizeof *z->list, by_name);
    for (size_t i = 1; i < z->len; i++)
        if (!strcmp(z->list[i].name, z->list[i - 1].name))
            return kn_fail(KEN_E_FORMAT, "entry %.100s appears twice", z->list[i].name);
    return KEN_OK;
}

ken_status kn_zip_from_memory(kn_zip *out, const void *bytes, size_t len)
{
    archive a = { .bytes = bytes, .len = len };
    kn_zip z = { 0 };
    ken_status st = read_end(&a);
    if (st)
        return st;
    z.list = kn_zalloc((size_t)a.count, sizeof *z.list);
    if (!z.list)
        return KEN_E_NOMEM;
    uint64_t at = a.at;
    for (uint64_t i = 0; !st && i < a.count; i++) {
        st = read_entry(&a, &at, &z.list[i]);
        z.len = (size_t)i + 1; /* also a failed one has a name */
    }
    if (!st)
        st = check_apart(&z);
    if (st) {
        kn_zip_close(&z);
        return kn_fail_in(st, "zip");
    }
    *out = z;
    return KEN_OK;
}

ken_status kn_zip_open(kn_zip *out, const char *path)
{
    unsigned char *bytes = NULL;
    size_t len = 0;
    ken_status st = kn_read_file(&bytes, &len, path, MAX_FILE); /* foreign: it may shrink */
    if (!st && (st = kn_zip_from_memory(out, bytes, len)))
        kn_fail_in(st, "%s", path);
    if (st)
        kn_free(bytes);
    else
        out->owned = bytes;
    return st;
}

int kn_zip_is(const char *path)
{
    unsigned char head[4] = { 0 };
    int fd = -1;
    if (kn_open(&fd, path, O_RDONLY | O_NONBLOCK, 0))
        return 0;
    ken_status st = kn_pread(fd, head, sizeof head, 0);
    close(fd);
    return !st && (is_signed(head, 3, 4) || is_signed(head, 5, 6)); /* the latter: empty */
}

void kn_zip_close(kn_zip *z)
{
    for (size_t i = 0; i < z->len; i++)
        kn_free(z->list[i].name);
    kn_free(z->list);
    kn_free(z->owned);
    *z = (kn_zip){ 0 };
}

const kn_zip_entry *kn_zip_find(const kn_zip *z, const char *name)
{
    const kn_zip_entry key = { .name = (char *)(uintptr_t)name };
    return z->len ? bsearch(&key, z->list, z->len, sizeof key, by_name) : NULL;
}

/* Unpacking is bounded by the size that the header promised. */
ken_status kn_zip_read(const kn_zip_entry *e, unsigned char **out)
{
    unsigned char *bytes = NULL;
    size_t n = (size_t)e->size;
    ken_status st = KEN_OK;
    if (e->deflated)
        st = kn_inflate(&bytes, &n, e->data, (size_t)e->stored, n);
    else if (!(bytes = kn_alloc(n + 1, 1)))
        st = KEN_E_NOMEM;
    else
        memcpy(bytes, e->data, n);
    if (!st && (n != e->size || kn_crc32(bytes, n) != e->crc))
        st = kn_fail(KEN_E_FORMAT, "size or checksum is not what the directory says");
    if (st) {
        kn_free(bytes);
        return kn_fail_in(st, "entry %.100s", e->name);
    }
    *out = bytes;
    return KEN_OK;
}
