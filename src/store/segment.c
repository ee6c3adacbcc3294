/*
 * segment.c - the layout of segment.h.
 *
 * The writer's order is its whole safety: rows and entries are written and synced first, then the
 * store commits how many there are.  A checksum covers the row, its id and its slot, so that a row
 * that was lost, torn or put into the wrong place is told apart from a good one.
 */
#include "store/segment.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "segments are read in place: little-endian only"
#endif

enum { HEADER = 4096, VERSION = 1 };
static const char MAGIC[8] = "KENVECS";

typedef struct header {
    char magic[8];
    uint32_t version, header_bytes, block, dim, element, number;
    char fingerprint[40];
    uint64_t check; /* of all above */
} header;

typedef struct entry {
    uint64_t id, check;
} entry;

_Static_assert(sizeof(entry) == KN_ENTRY_BYTES, "the entry's size is in files");
_Static_assert(sizeof(header) == 80, "the header's layout is in files");

struct kn_segment_writer {
    kn_segment_info info;
    size_t row_bytes;
    uint32_t rows;
    int fd;
};

/* ---- rows ---- */

enum { SCALE_BYTES = 4 };

size_t kn_row_bytes(kn_element e, uint32_t dim)
{
    if (e == KN_ELEMENT_I8)
        return SCALE_BYTES + ((size_t)dim + 3) / 4 * 4;
    return e == KN_ELEMENT_F32 ? 4 * (size_t)dim : e == KN_ELEMENT_F16 ? 2 * (size_t)dim : 0;
}

void kn_row_pack_i8(const float *vector, uint32_t dim, void *row)
{
    int8_t *out = (int8_t *)row + SCALE_BYTES;
    float most = 0;
    for (uint32_t i = 0; i < dim; i++)
        most = fabsf(vector[i]) > most ? fabsf(vector[i]) : most;
    const float scale = most / 127;
    memset(row, 0, kn_row_bytes(KN_ELEMENT_I8, dim));
    memcpy(row, &scale, sizeof scale);
    for (uint32_t i = 0; scale > 0 && i < dim; i++)
        out[i] = (int8_t)lrintf(vector[i] / most * 127);
}

void kn_row_unpack_i8(const void *row, uint32_t dim, float *vector)
{
    const int8_t *in = (const int8_t *)row + SCALE_BYTES;
    float scale;
    memcpy(&scale, row, sizeof scale);
    for (uint32_t i = 0; i < dim; i++)
        vector[i] = scale * in[i];
}

/* ---- where things are ---- */

static uint64_t block_bytes(size_t row_bytes)
{
    return (uint64_t)KN_BLOCK * (KN_ENTRY_BYTES + row_bytes);
}

static uint64_t block_at(uint32_t b, size_t row_bytes)
{
    return HEADER + b * block_bytes(row_bytes);
}

static uint64_t entry_at(uint32_t slot, size_t row_bytes)
{
    return block_at(slot / KN_BLOCK, row_bytes) + (uint64_t)(slot % KN_BLOCK) * KN_ENTRY_BYTES;
}

static uint64_t row_at(uint32_t slot, size_t row_bytes)
{
    return block_at(slot / KN_BLOCK, row_bytes) + (uint64_t)KN_BLOCK * KN_ENTRY_BYTES
           + (uint64_t)(slot % KN_BLOCK) * row_bytes;
}

/* The file's length with that many rows. */
static uint64_t length_for(uint32_t rows, size_t row_bytes)
{
    return rows ? row_at(rows - 1, row_bytes) + row_bytes : HEADER;
}

static uint64_t row_check(const void *row, size_t row_bytes, uint64_t id, uint32_t slot)
{
    const uint64_t parts[3] = { kn_hash64(row, row_bytes), id, slot };
    return kn_hash64(parts, sizeof parts);
}

static char *file_of(const char *dir, uint32_t number)
{
    char name[40];
    snprintf(name, sizeof name, "vectors-%06u.seg", number);
    return kn_path_join(dir, name);
}

/* ---- the header ---- */

static void make_header(header *h, const kn_segment_info *info)
{
    *h = (header){ .version = VERSION,
                   .header_bytes = HEADER,
                   .block = KN_BLOCK,
                   .dim = info->dim,
                   .element = info->element,
                   .number = info->number };
    memcpy(h->magic, MAGIC, sizeof MAGIC);
    memcpy(h->fingerprint, info->fingerprint, sizeof info->fingerprint);
    h->check = kn_hash64(h, offsetof(header, check));
}

static ken_status read_header(kn_segment_info *out, const void *bytes, size_t len)
{
    header h;
    if (len < HEADER)
        return kn_fail(KEN_E_CORRUPT, "header: the file has only %zu bytes", len);
    memcpy(&h, bytes, sizeof h);
    if (memcmp(h.magic, MAGIC, sizeof MAGIC) != 0)
        return kn_fail(KEN_E_CORRUPT, "header: not a file of vectors");
    if (h.check != kn_hash64(&h, offsetof(header, check)))
        return kn_fail(KEN_E_CORRUPT, "header: wrong checksum");
    if (h.version > VERSION)
        return kn_fail(KEN_E_VERSION, "header: version %u, this ken reads up to %d", h.version,
                       VERSION);
    kn_element e = (kn_element)h.element;
    if (h.header_bytes != HEADER || h.block != KN_BLOCK || !h.dim || h.dim > KN_SEGMENT_MAX_DIM
        || !kn_row_bytes(e, 1) || !memchr(h.fingerprint, 0, sizeof out->fingerprint))
        return kn_fail(KEN_E_CORRUPT, "header: a value is out of range");
    *out = (kn_segment_info){ .number = h.number, .dim = h.dim, .element = e };
    memcpy(out->fingerprint, h.fingerprint, sizeof out->fingerprint);
    return KEN_OK;
}

/* ---- writing ---- */

static ken_status check_info(const kn_segment_info *info)
{
    if (!info->number || !info->dim || info->dim > KN_SEGMENT_MAX_DIM
        || !kn_row_bytes(info->element, 1))
        return kn_fail(KEN_E_INVALID, "vectors of %u numbers cannot be kept", info->dim);
    return KEN_OK;
}

static kn_segment_writer *new_writer(const kn_segment_info *info, int fd, uint32_t rows)
{
    kn_segment_writer *w = kn_zalloc(1, sizeof *w);
    if (w) {
        w->info = *info;
        w->row_bytes = kn_row_bytes(info->element, info->dim);
        w->rows = rows;
        w->fd = fd;
    }
    return w;
}

static ken_status write_header(int fd, const kn_segment_info *info)
{
    unsigned char page[HEADER] = { 0 };
    header h;
    make_header(&h, info);
    memcpy(page, &h, sizeof h);
    ken_status st = kn_pwrite(fd, page, sizeof page, 0);
    return st ? st : kn_sync(fd);
}

ken_status kn_segment_create(kn_segment_writer **out, const char *dir, const kn_segment_info *info)
{
    int fd = -1;
    kn_segment_writer *w = NULL;
    char *path = file_of(dir, info->number);
    ken_status st = path ? check_info(info) : KEN_E_NOMEM;
    if (!st)
        st = kn_open(&fd, path, O_RDWR | O_CREAT | O_TRUNC, 0666);
    if (!st)
        st = write_header(fd, info);
    if (!st)
        st = kn_sync_dir(dir);
    if (!st && !(w = new_writer(info, fd, 0)))
        st = KEN_E_NOMEM;
    if (st && fd >= 0)
        close(fd);
    if (st && path)
        kn_fail_in(st, "%s", path);
    kn_free(path);
    if (!st)
        *out = w;
    return st;
}

static ken_status open_committed(kn_segment_info *info, int fd, uint32_t number, uint32_t rows)
{
    unsigned char page[HEADER];
    struct stat file;
    ken_status st = kn_pread(fd, page, sizeof page, 0);
    if (!st)
        st = read_header(info, page, sizeof page);
    if (st)
        return st;
    if (info->number != number)
        return kn_fail(KEN_E_CORRUPT, "header: this is segment %u", info->number);
    uint64_t want = length_for(rows, kn_row_bytes(info->element, info->dim));
    if (fstat(fd, &file) != 0)
        return kn_fail_errno(errno);
    if ((uint64_t)file.st_size < want)
        return kn_fail(KEN_E_CORRUPT, "%llu bytes, %u rows need %llu",
                       (unsigned long long)file.st_size, rows, (unsigned long long)want);
    return (uint64_t)file.st_size > want ? kn_truncate(fd, want) : KEN_OK;
}

ken_status kn_segment_continue(kn_segment_writer **out, const char *dir, uint32_t number,
                               uint32_t rows)
{
    int fd = -1;
    kn_segment_info info;
    kn_segment_writer *w = NULL;
    char *path = file_of(dir, number);
    ken_status st = path ? kn_open(&fd, path, O_RDWR, 0) : KEN_E_NOMEM;
    if (!st)
        st = open_committed(&info, fd, number, rows);
    if (!st && !(w = new_writer(&info, fd, rows)))
        st = KEN_E_NOMEM;
    if (st && fd >= 0)
        close(fd);
    if (st && path)
        kn_fail_in(st, "%s", path);
    kn_free(path);
    if (!st)
        *out = w;
    return st;
}

const kn_segment_info *kn_segment_writer_info(const kn_segment_writer *w)
{
    return &w->info;
}

uint32_t kn_segment_writer_rows(const kn_segment_writer *w)
{
    return w->rows;
}

/* As many rows as fit the current block. */
static ken_status append_part(kn_segment_writer *w, const uint64_t *ids, const unsigned char *rows,
                              uint32_t n)
{
    entry entries[KN_BLOCK];
    for (uint32_t i = 0; i < n; i++) {
        entries[i].id = ids[i];
        entries[i].check = row_check(rows + i * w->row_bytes, w->row_bytes, ids[i], w->rows + i);
    }
    ken_status st = kn_pwrite(w->fd, entries, n * sizeof *entries, entry_at(w->rows, w->row_bytes));
    if (!st)
        st = kn_pwrite(w->fd, rows, n * w->row_bytes, row_at(w->rows, w->row_bytes));
    if (!st)
        w->rows += n;
    return st;
}

ken_status kn_segment_append(kn_segment_writer *w, const uint64_t *ids, const void *rows, size_t n)
{
    const unsigned char *row = rows;
    if (n > UINT32_MAX - w->rows)
        return kn_fail(KEN_E_LIMIT, "segment %u is full", w->info.number);
    while (n) {
        const uint32_t room = KN_BLOCK - w->rows % KN_BLOCK;
        const uint32_t part = n < room ? (uint32_t)n : room;
        ken_status st = append_part(w, ids, row, part);
        if (st)
            return kn_fail_in(st, "segment %u", w->info.number);
        ids += part;
        row += part * w->row_bytes;
        n -= part;
    }
    return KEN_OK;
}

ken_status kn_segment_sync(kn_segment_writer *w)
{
    return kn_sync(w->fd);
}

void kn_segment_rewind(kn_segment_writer *w, uint32_t rows)
{
    if (rows < w->rows)
        w->rows = rows;
}

void kn_segment_writer_close(kn_segment_writer *w)
{
    if (!w)
        return;
    close(w->fd);
    kn_free(w);
}

/* ---- removing ---- */

ken_status kn_segment_unlink(const char *dir, uint32_t number)
{
    char *path = file_of(dir, number);
    if (!path)
        return KEN_E_NOMEM;
    ken_status st = kn_unlink(path);
    kn_free(path);
    return st;
}

ken_status kn_segment_sweep(const char *dir, int (*keep)(uint32_t number, void *cookie),
                            void *cookie)
{
    DIR *d = opendir(dir);
    if (!d)
        return kn_fail_errno(errno);
    ken_status st = KEN_OK;
    for (struct dirent *e; !st && (e = readdir(d));) {
        unsigned number;
        int end = 0;
        if (sscanf(e->d_name, "vectors-%u.seg%n", &number, &end) == 1 && end && !e->d_name[end]
            && !keep(number, cookie))
            st = kn_segment_unlink(dir, number);
    }
    closedir(d);
    return st;
}

/* ---- reading ---- */

ken_status kn_segment_from_memory(kn_segment *out, const void *bytes, size_t len, uint32_t rows)
{
    kn_segment_info info;
    ken_status st = read_header(&info, bytes, len);
    if (st)
        return st;
    const size_t row_bytes = kn_row_bytes(info.element, info.dim);
    if (len < length_for(rows, row_bytes))
        return kn_fail(KEN_E_CORRUPT, "%zu bytes, %u rows need %llu", len, rows,
                       (unsigned long long)length_for(rows, row_bytes));
    *out = (kn_segment){ info, row_bytes, rows, bytes, len };
    return KEN_OK;
}

ken_status kn_segment_map(kn_segment *out, const char *dir, uint32_t number, uint32_t rows)
{
    kn_map map = { 0 };
    char *path = file_of(dir, number);
    ken_status st = path ? kn_map_open(&map, path) : KEN_E_NOMEM;
    if (!st)
        st = kn_segment_from_memory(out, map.data, map.len, rows);
    if (!st && out->info.number != number)
        st = kn_fail(KEN_E_CORRUPT, "header: this is segment %u", out->info.number);
    if (st)
        kn_map_close(&map);
    if (st && path)
        kn_fail_in(st, "%s", path);
    kn_free(path);
    return st;
}

void kn_segment_unmap(kn_segment *s)
{
    kn_map map = { s->data, s->len };
    kn_map_close(&map);
    *s = (kn_segment){ 0 };
}

const void *kn_segment_row(const kn_segment *s, uint32_t slot)
{
    return s->data + row_at(slot, s->row_bytes);
}

static entry entry_of(const kn_segment *s, uint32_t slot)
{
    entry e;
    memcpy(&e, s->data + entry_at(slot, s->row_bytes), sizeof e);
    return e;
}

uint64_t kn_segment_id(const kn_segment *s, uint32_t slot)
{
    return entry_of(s, slot).id;
}

int kn_segment_intact(const kn_segment *s, uint32_t slot)
{
    entry e = entry_of(s, slot);
    return e.check == row_check(kn_segment_row(s, slot), s->row_bytes, e.id, slot);
}

size_t kn_segment_block(const kn_segment *s, uint32_t b, const void **rows,
                        const unsigned char **entries)
{
    const uint64_t first = (uint64_t)b * KN_BLOCK;
    if (first >= s->rows)
        return 0;
    *rows = s->data + row_at((uint32_t)first, s->row_bytes);
    *entries = s->data + entry_at((uint32_t)first, s->row_bytes);
    return s->rows - first < KN_BLOCK ? (size_t)(s->rows - first) : KN_BLOCK;
}
