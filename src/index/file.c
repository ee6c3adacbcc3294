/* file.c - the layout of file.h. */
#include "index/file.h"

#include "base/alloc.h"
#include "base/error.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "index files are read in place: little-endian only"
#endif

enum { HEADER = 4096, PAGE = 4096, FIRST = HEADER + KN_INDEX_TABLE_BYTES, VERSION = 1 };
static const char MAGIC[8] = "KENINDX";

typedef struct header {
    char magic[8];
    uint32_t version, bytes; /* bytes: of this struct */
    char spec[KN_SPEC_TEXT];
    uint32_t metric, dim;
    uint64_t n, seed, length, zero; /* length: of the file */
    uint32_t sections, reserved;
    kn_section section[KN_SECTIONS];
    uint64_t check; /* of all above */
} header;

_Static_assert(sizeof(kn_section) == 40, "the section's layout is in files");
_Static_assert(sizeof(header) == 136 + 40 * KN_SECTIONS && sizeof(header) <= HEADER,
               "the header's layout is in files");

typedef struct table {
    uint64_t check; /* of the rest */
    uint32_t length, reserved;
    char text[KN_INDEX_TABLE_BYTES - 16]; /* NUL-terminated */
} table;

/* ---- writing ---- */

ken_status kn_index_writer_begin(kn_index_writer *w, const char *path)
{
    static const unsigned char nothing[FIRST];
    *w = (kn_index_writer){ .at = FIRST };
    ken_status st = kn_hash_new(&w->hash);
    if (!st)
        st = kn_replace_begin(&w->file, path);
    if (!st)
        st = kn_write(w->file.fd, nothing, sizeof nothing);
    if (st)
        kn_index_writer_abort(w);
    return st;
}

/* The hash starts anew with each section. */
static ken_status end_section(kn_index_writer *w)
{
    static const unsigned char nothing[PAGE];
    kn_section *s = &w->sections[w->n - 1];
    const size_t pad = (size_t)(-w->at % PAGE);
    s->bytes = w->at - s->offset;
    s->check = kn_hash_get64(w->hash);
    kn_hash_free(w->hash);
    w->hash = NULL;
    ken_status st = kn_hash_new(&w->hash);
    if (!st && pad)
        st = kn_write(w->file.fd, nothing, pad);
    w->at += pad;
    return st;
}

ken_status kn_index_writer_section(kn_index_writer *w, const char *name)
{
    ken_status st = w->n ? end_section(w) : KEN_OK;
    if (!st && (w->n == KN_SECTIONS || strlen(name) >= KN_SECTION_NAME))
        st = kn_fail(KEN_E_INVALID, "section \"%s\": too many, or too long a name", name);
    if (st)
        return st;
    w->sections[w->n] = (kn_section){ .offset = w->at };
    memcpy(w->sections[w->n++].name, name, strlen(name));
    return KEN_OK;
}

ken_status kn_index_writer_add(kn_index_writer *w, const void *bytes, size_t n)
{
    enum { PIECE = 8 << 20 }; /* hashed while in the cache */
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < n; i += PIECE) {
        const size_t part = n - i < PIECE ? n - i : PIECE;
        kn_hash_add(w->hash, (const unsigned char *)bytes + i, part);
        st = kn_write(w->file.fd, (const unsigned char *)bytes + i, part);
    }
    w->at += n;
    return st;
}

ken_status kn_index_writer_put(kn_index_writer *w, const char *name, const void *bytes, size_t n)
{
    ken_status st = kn_index_writer_section(w, name);
    return st ? st : kn_index_writer_add(w, bytes, n);
}

ken_status kn_index_writer_commit(kn_index_writer *w, const kn_index_about *about)
{
    ken_status st = w->n ? end_section(w) : KEN_OK;
    header h = { .version = VERSION,
                 .bytes = sizeof h,
                 .metric = (uint32_t)about->metric,
                 .dim = about->dim,
                 .n = about->n,
                 .seed = about->seed,
                 .length = w->at,
                 .sections = w->n };
    memcpy(h.magic, MAGIC, sizeof h.magic);
    memcpy(h.spec, about->spec, strnlen(about->spec, sizeof h.spec - 1));
    memcpy(h.section, w->sections, w->n * sizeof *h.section);
    h.check = kn_hash64(&h, offsetof(header, check));
    if (!st)
        st = kn_pwrite(w->file.fd, &h, sizeof h, 0);
    if (!st)
        st = kn_replace_commit(&w->file);
    kn_index_writer_abort(w);
    return st;
}

void kn_index_writer_abort(kn_index_writer *w)
{
    kn_replace_abort(&w->file);
    kn_hash_free(w->hash);
    *w = (kn_index_writer){ 0 };
}

/* ---- reading ---- */

static ken_status check_sections(const header *h, size_t len)
{
    for (uint32_t i = 0; i < h->sections; i++) {
        const kn_section *s = &h->section[i];
        if (!memchr(s->name, 0, sizeof s->name) || s->offset % PAGE || s->offset < FIRST
            || s->offset > len || s->bytes > len - s->offset)
            return kn_fail(KEN_E_CORRUPT, "section %u (%.15s) lies outside the file, at byte %llu",
                           i, s->name, (unsigned long long)s->offset);
    }
    return KEN_OK;
}

static ken_status check_header(const header *h, size_t len)
{
    if (len < FIRST || memcmp(h->magic, MAGIC, sizeof MAGIC))
        return kn_fail(KEN_E_FORMAT, "not an index of ken's");
    if (h->version > VERSION)
        return kn_fail(KEN_E_VERSION, "written by a newer ken (format %u)", h->version);
    if (h->bytes != sizeof *h || h->check != kn_hash64(h, offsetof(header, check)))
        return kn_fail(KEN_E_CORRUPT, "header: the checksum does not hold, at byte 0");
    if (h->length != len)
        return kn_fail(KEN_E_CORRUPT, "header: the file has %zu bytes and should have %llu", len,
                       (unsigned long long)h->length);
    if (!h->version || h->metric > KN_METRIC_COSINE || !h->dim || h->sections > KN_SECTIONS
        || !memchr(h->spec, 0, sizeof h->spec) || h->n > UINT32_MAX / 2)
        return kn_fail(KEN_E_CORRUPT, "header: a number is out of range, at byte 0");
    return check_sections(h, len);
}

static ken_status open_map(kn_index_file *out, kn_map map, int borrowed)
{
    header h = { 0 };
    if (map.len >= sizeof h)
        memcpy(&h, map.data, sizeof h);
    ken_status st = check_header(&h, map.len);
    if (st)
        return st;
    *out = (kn_index_file){ .map = map, .borrowed = borrowed, .n = h.sections };
    memcpy(out->about.spec, h.spec, sizeof h.spec);
    out->about.metric = (kn_metric)h.metric;
    out->about.dim = h.dim;
    out->about.n = h.n;
    out->about.seed = h.seed;
    out->check = h.check;
    memcpy(out->sections, h.section, sizeof out->sections);
    return KEN_OK;
}

ken_status kn_index_file_open(kn_index_file *out, const char *path)
{
    kn_map map;
    ken_status st = kn_map_open(&map, path);
    if (!st && (st = open_map(out, map, 0)) != KEN_OK)
        kn_map_close(&map);
    return st ? kn_fail_in(st, "%s", path) : KEN_OK;
}

ken_status kn_index_file_from_memory(kn_index_file *out, const void *bytes, size_t len)
{
    return open_map(out, (kn_map){ bytes, len }, 1);
}

void kn_index_file_close(kn_index_file *f)
{
    if (!f->borrowed)
        kn_map_close(&f->map);
    *f = (kn_index_file){ 0 };
}

const void *kn_index_file_find(const kn_index_file *f, const char *name, size_t *bytes)
{
    for (uint32_t i = 0; i < f->n; i++)
        if (!strcmp(f->sections[i].name, name)) {
            *bytes = (size_t)f->sections[i].bytes;
            return f->map.data + f->sections[i].offset;
        }
    return NULL;
}

ken_status kn_index_file_get(const kn_index_file *f, const char *name, size_t n, size_t size,
                             const void **out)
{
    size_t bytes, want;
    const void *p = kn_index_file_find(f, name, &bytes);
    if (!p)
        return kn_fail(KEN_E_CORRUPT, "section %s is missing", name);
    if (__builtin_mul_overflow(n, size, &want) || bytes != want)
        return kn_fail(KEN_E_CORRUPT, "section %s, at byte %zu: %zu bytes do not hold %zu x %zu",
                       name, (size_t)((const unsigned char *)p - f->map.data), bytes, n, size);
    *out = p;
    return KEN_OK;
}

ken_status kn_index_complain(ken_problem_fn fn, void *cookie, const char *where, const char *what)
{
    if (fn)
        fn(where, what, cookie);
    return kn_fail(KEN_E_CORRUPT, "%s: %s", where, what);
}

/* What lies between the sections is zero: no byte of the file goes unseen. */
static int all_zero(const unsigned char *p, size_t n)
{
    size_t i = 0;
    while (i < n && !p[i])
        i++;
    return i == n;
}

static size_t next_offset(const kn_index_file *f, uint32_t i)
{
    return i + 1 < f->n ? (size_t)f->sections[i + 1].offset : f->map.len;
}

static int holds(const kn_index_file *f, const kn_section *s)
{
    return kn_hash64(f->map.data + s->offset, (size_t)s->bytes) == s->check;
}

ken_status kn_index_file_check_section(const kn_index_file *f, const char *name)
{
    for (uint32_t i = 0; i < f->n; i++)
        if (!strcmp(f->sections[i].name, name) && !holds(f, &f->sections[i]))
            return kn_fail(KEN_E_CORRUPT, "section %s: the checksum does not hold", name);
    return KEN_OK;
}

ken_status kn_index_file_check(const kn_index_file *f, ken_problem_fn fn, void *cookie)
{
    ken_status st = KEN_OK;
    const table *t = (const void *)(f->map.data + HEADER);
    if (!all_zero((const unsigned char *)t, sizeof *t) && !kn_index_file_table(f))
        st = kn_index_complain(fn, cookie, "table", "the checksum does not hold");
    if (!all_zero(f->map.data + sizeof(header), HEADER - sizeof(header)))
        st = kn_index_complain(fn, cookie, "header", "what follows it is not zero");
    for (uint32_t i = 0; i < f->n; i++) {
        const kn_section *s = &f->sections[i];
        const size_t end = (size_t)(s->offset + s->bytes), next = next_offset(f, i);
        if (!holds(f, s))
            st = kn_index_complain(fn, cookie, s->name, "the checksum does not hold");
        else if (next < end || !all_zero(f->map.data + end, next - end))
            st = kn_index_complain(fn, cookie, s->name, "what follows it is not zero");
    }
    return st;
}

/* ---- the table ---- */

const char *kn_index_file_table(const kn_index_file *f)
{
    const table *t = (const void *)(f->map.data + HEADER);
    if (!t->length || t->length >= sizeof t->text || t->text[t->length]
        || t->check != kn_hash64(&t->length, sizeof *t - sizeof t->check))
        return NULL;
    return t->text;
}

ken_status kn_index_file_set_table(const char *path, const char *text)
{
    table t = { .length = (uint32_t)strlen(text) };
    int fd;
    if (strlen(text) >= sizeof t.text)
        return kn_fail(KEN_E_LIMIT, "a table of %zu bytes", strlen(text));
    memcpy(t.text, text, t.length);
    t.check = kn_hash64(&t.length, sizeof t - sizeof t.check);
    ken_status st = kn_open(&fd, path, O_RDWR, 0);
    if (st)
        return kn_fail_in(st, "%s", path);
    st = kn_pwrite(fd, &t, sizeof t, HEADER);
    if (!st)
        st = kn_sync(fd);
    close(fd);
    return st ? kn_fail_in(st, "%s", path) : KEN_OK;
}
