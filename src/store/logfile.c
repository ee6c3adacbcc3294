/*
 * logfile.c - the records in one append-only log, for builds without SQLite.
 *
 * A transaction is one frame (journal.h), written and synced at its end.  All records are held in
 * memory; a reader takes in what others have appended before each read.  When most of the log is
 * history it is replaced, in one step, by a log of one frame.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "store/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { COMPACT_FROM = 1 << 20 /* bytes */, COMPACT_RATIO = 4 };

typedef struct file_store {
    kn_store base;
    char *dir, *path;
    int fd, writable;
    dev_t device;
    ino_t inode;
    kn_memory *m;
    uint64_t end;        /* of what is in m */
    uint64_t generation; /* of m */
    unsigned version;    /* of the log's header */
    uint64_t compact_at; /* length at which to think about it */
    int inside;          /* 1: between begin and end, 2: writing */
    int stale;           /* m is not what the log says */
    kn_buf frame;        /* being written: room for its header, then operations */
} file_store;

static file_store *of(kn_store *s)
{
    return (file_store *)s;
}

/* ---- reading the log ---- */

static ken_status map_log(const file_store *f, const unsigned char **out, size_t *len)
{
    struct stat info;
    void *p = NULL;
    if (fstat(f->fd, &info) != 0)
        return kn_fail_errno(errno);
    if (info.st_size > 0)
        p = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, f->fd, 0);
    if (p == MAP_FAILED)
        return kn_fail_errno(errno);
    *out = p;
    *len = (size_t)info.st_size;
    return KEN_OK;
}

static ken_status reopen(file_store *f)
{
    struct stat info;
    int fd = open(f->path, (f->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0) {
        ken_status st = kn_fail_errno(errno);
        if (fd >= 0)
            close(fd);
        return st;
    }
    if (f->fd >= 0)
        close(f->fd);
    f->fd = fd;
    f->device = info.st_dev;
    f->inode = info.st_ino;
    return KEN_OK;
}

/* Empty m; the next replay starts at the header. */
static ken_status start_over(file_store *f)
{
    kn_memory *m;
    ken_status st = kn_memory_new(&m);
    if (st)
        return st;
    kn_memory_free(f->m);
    f->m = m;
    f->end = f->generation = 0;
    return KEN_OK;
}

static ken_status replay(file_store *f)
{
    const unsigned char *bytes = NULL;
    size_t len = 0;
    ken_status st = map_log(f, &bytes, &len);
    if (st)
        return st;
    if (!f->end && len >= KN_JOURNAL_HEADER)
        f->version = bytes[8]; /* whether it is one, the replay finds out */
    if (len < f->end)
        st = kn_fail(KEN_E_CORRUPT, "it has become shorter");
    else if (len > f->end || !len)
        st = kn_journal_replay(f->m, bytes, len, &f->end, &f->generation);
    if (bytes)
        munmap((void *)(uintptr_t)bytes, len);
    f->stale = st != KEN_OK;
    return st;
}

/* Take in what was committed since. */
static ken_status refresh(file_store *f)
{
    struct stat info;
    ken_status st = KEN_OK;
    if (f->inside)
        return KEN_OK;
    const int replaced = stat(f->path, &info) == 0
                         && (info.st_ino != f->inode || info.st_dev != f->device);
    if (replaced)
        st = reopen(f);
    if (!st && (replaced || f->stale || !f->m))
        st = start_over(f);
    if (!st)
        st = replay(f);
    return st ? kn_fail_in(st, "%s", f->path) : KEN_OK;
}

/* ---- opening ---- */

static void store_close(kn_store *s)
{
    file_store *f = of(s);
    kn_buf_release(&f->frame);
    kn_memory_free(f->m);
    if (f->fd >= 0)
        close(f->fd);
    kn_free(f->dir);
    kn_free(f->path);
    kn_free(f);
}

static ken_status make_log(const char *path)
{
    unsigned char header[KN_JOURNAL_HEADER];
    kn_journal_header(header);
    return kn_replace_file(path, header, sizeof header);
}

static ken_status store_open(kn_store **out, const char *url, const char *dir, kn_store_mode mode)
{
    (void)url; /* "file:" says it all */
    file_store *f = kn_zalloc(1, sizeof *f);
    if (!f)
        return KEN_E_NOMEM;
    f->base.v = &kn_store_file;
    f->fd = -1;
    f->writable = mode != KN_STORE_READ;
    f->compact_at = COMPACT_FROM;
    kn_buf_init(&f->frame, KN_FRAME_MAX);
    f->dir = kn_strdup(dir);
    f->path = kn_path_join(dir, kn_store_file.file);
    ken_status st = f->dir && f->path ? KEN_OK : KEN_E_NOMEM;
    if (!st && mode == KN_STORE_CREATE && access(f->path, F_OK) != 0)
        st = make_log(f->path);
    if (!st)
        st = reopen(f);
    if (!st)
        st = refresh(f);
    if (!st)
        *out = &f->base;
    else
        store_close(&f->base);
    return st;
}

/* ---- compaction: everything that is known, as one frame ---- */

typedef struct dump {
    kn_buf *b;
    ken_status st;
} dump;

static int dump_item(const kn_item *item, void *cookie)
{
    dump *d = cookie;
    return (d->st = kn_journal_put(d->b, item)) != KEN_OK;
}

static int dump_segment(const kn_segment_record *row, void *cookie)
{
    dump *d = cookie;
    return (d->st = kn_journal_put_segment(d->b, row)) != KEN_OK;
}

static int dump_dead(uint32_t segment, uint32_t slot, void *cookie)
{
    dump *d = cookie;
    return (d->st = kn_journal_put_dead(d->b, segment, slot)) != KEN_OK;
}

static int dump_reject(const kn_reject *r, void *cookie)
{
    dump *d = cookie;
    return (d->st = kn_journal_put_reject(d->b, r)) != KEN_OK;
}

static int dump_text(const char *key, const char *value, void *cookie)
{
    dump *d = cookie;
    return (d->st = kn_journal_set_text(d->b, key, value)) != KEN_OK;
}

static ken_status dump_all(file_store *f, kn_buf *b)
{
    static const unsigned char room[KN_FRAME_HEADER];
    unsigned char header[KN_JOURNAL_HEADER];
    const kn_select all = { .by = KN_AFTER };
    dump d = { b, KEN_OK };
    kn_journal_header(header);
    ken_status st = kn_buf_add(b, header, sizeof header);
    if (!st)
        st = kn_buf_add(b, room, sizeof room);
    if (!st)
        st = kn_journal_generation(b, f->generation);
    if (!st)
        st = kn_memory_items(f->m, &all, dump_item, &d);
    if (!st && !d.st)
        kn_memory_segments(f->m, dump_segment, &d);
    if (!st && !d.st)
        kn_memory_dead(f->m, dump_dead, &d);
    if (!st && !d.st)
        kn_memory_rejects(f->m, dump_reject, &d);
    if (!st && !d.st)
        kn_memory_texts(f->m, dump_text, &d);
    return st ? st : d.st;
}

/* Not needed for anything but size: a failure is told to the log only. */
static void compact(file_store *f)
{
    kn_buf b;
    kn_buf_init(&b, KN_FRAME_MAX);
    ken_status st = dump_all(f, &b);
    if (!st && b.len * COMPACT_RATIO < f->end) {
        unsigned char *frame = (unsigned char *)b.data + KN_JOURNAL_HEADER;
        kn_journal_seal(frame, b.len - KN_JOURNAL_HEADER - KN_FRAME_HEADER);
        st = kn_replace_file(f->path, b.data, b.len);
        if (!st)
            st = reopen(f);
        f->end = b.len;
        f->stale = st != KEN_OK;
    }
    f->compact_at = f->end > COMPACT_FROM / 2 ? f->end * 2 : COMPACT_FROM;
    if (st)
        kn_log(KEN_LOG_WARN, "%s: not compacted: %s", f->path, ken_last_error());
    kn_buf_release(&b);
}

/* ---- transactions ---- */

static ken_status store_begin(kn_store *s, int write)
{
    static const unsigned char room[KN_FRAME_HEADER];
    file_store *f = of(s);
    ken_status st = refresh(f);
    f->frame.len = 0;
    if (!st && write)
        st = kn_buf_add(&f->frame, room, sizeof room);
    if (!st)
        f->inside = write ? 2 : 1;
    return st;
}

static ken_status commit(file_store *f)
{
    unsigned char *frame = (unsigned char *)f->frame.data;
    kn_journal_seal(frame, f->frame.len - KN_FRAME_HEADER);
    unsigned char header[KN_JOURNAL_HEADER];
    ken_status st = kn_truncate(f->fd, f->end); /* a torn frame of a dead writer */
    if (!st && f->version < KN_JOURNAL_VERSION) { /* an older ken must not meet new operations */
        kn_journal_header(header);
        st = kn_pwrite(f->fd, header, sizeof header, 0);
    }
    if (!st)
        st = kn_pwrite(f->fd, frame, f->frame.len, f->end);
    if (!st)
        st = kn_sync(f->fd);
    if (st)
        return kn_fail_in(st, "%s", f->path);
    f->end += f->frame.len;
    f->generation++;
    f->version = KN_JOURNAL_VERSION;
    return KEN_OK;
}

static ken_status store_end(kn_store *s, int keep)
{
    file_store *f = of(s);
    const int wrote = f->inside == 2 && f->frame.len > KN_FRAME_HEADER;
    ken_status st = KEN_OK;
    if (wrote && keep)
        st = f->stale ? kn_fail(KEN_E_INVALID, "a part of the change has failed") : commit(f);
    if (wrote && (st || !keep))
        f->stale = 1; /* the next read starts over from the log */
    f->inside = 0;
    if (wrote && !st && keep && f->end > f->compact_at)
        compact(f);
    return st;
}

static ken_status store_generation(kn_store *s, uint64_t *out)
{
    ken_status st = refresh(of(s));
    if (!st)
        *out = of(s)->generation;
    return st;
}

/* ---- reading ---- */

static ken_status store_items(kn_store *s, const kn_select *which, kn_item_fn fn, void *cookie)
{
    ken_status st = refresh(of(s));
    return st ? st : kn_memory_items(of(s)->m, which, fn, cookie);
}

static ken_status store_segments(kn_store *s, kn_segment_fn fn, void *cookie)
{
    ken_status st = refresh(of(s));
    if (!st)
        kn_memory_segments(of(s)->m, fn, cookie);
    return st;
}

static ken_status store_dead(kn_store *s, kn_slot_fn fn, void *cookie)
{
    ken_status st = refresh(of(s));
    if (!st)
        kn_memory_dead(of(s)->m, fn, cookie);
    return st;
}

static ken_status store_reject(kn_store *s, const char *path, kn_reject_fn fn, void *cookie)
{
    ken_status st = refresh(of(s));
    const kn_reject *r = st ? NULL : kn_memory_reject(of(s)->m, path);
    if (r)
        (void)fn(r, cookie);
    return st;
}

static ken_status store_text(kn_store *s, const char *key, char **out)
{
    ken_status st = refresh(of(s));
    const char *value = st ? NULL : kn_memory_text(of(s)->m, key);
    char *copy = value ? kn_strdup(value) : NULL;
    if (value && !copy)
        st = KEN_E_NOMEM;
    if (!st)
        *out = copy;
    return st;
}

static ken_status store_counts(kn_store *s, kn_counts *out)
{
    ken_status st = refresh(of(s));
    return st ? st : kn_memory_counts(of(s)->m, out);
}

/* ---- writing: into the frame and into memory; a failure spoils the transaction ---- */

static ken_status spoil(file_store *f, ken_status st)
{
    if (st)
        f->stale = 1;
    return st;
}

static ken_status store_put(kn_store *s, const kn_item *item)
{
    file_store *f = of(s);
    ken_status st = kn_memory_put(f->m, item);
    if (st == KEN_E_EXISTS) /* nothing has happened */
        return st;
    return spoil(f, st ? st : kn_journal_put(&f->frame, item));
}

static ken_status store_drop(kn_store *s, uint64_t id)
{
    file_store *f = of(s);
    kn_memory_drop(f->m, id);
    return spoil(f, kn_journal_drop(&f->frame, id));
}

static ken_status store_put_segment(kn_store *s, const kn_segment_record *row)
{
    file_store *f = of(s);
    ken_status st = kn_memory_put_segment(f->m, row);
    return spoil(f, st ? st : kn_journal_put_segment(&f->frame, row));
}

static ken_status store_drop_segment(kn_store *s, uint32_t number)
{
    file_store *f = of(s);
    kn_memory_drop_segment(f->m, number);
    return spoil(f, kn_journal_drop_segment(&f->frame, number));
}

static ken_status store_put_dead(kn_store *s, uint32_t segment, uint32_t slot)
{
    file_store *f = of(s);
    ken_status st = kn_memory_put_dead(f->m, segment, slot);
    return spoil(f, st ? st : kn_journal_put_dead(&f->frame, segment, slot));
}

static ken_status store_put_reject(kn_store *s, const kn_reject *r)
{
    file_store *f = of(s);
    ken_status st = kn_memory_put_reject(f->m, r);
    return spoil(f, st ? st : kn_journal_put_reject(&f->frame, r));
}

static ken_status store_drop_reject(kn_store *s, const char *path)
{
    file_store *f = of(s);
    if (!kn_memory_reject(f->m, path))
        return KEN_OK;
    kn_memory_drop_reject(f->m, path);
    return spoil(f, kn_journal_drop_reject(&f->frame, path));
}

static ken_status store_set_text(kn_store *s, const char *key, const char *value)
{
    file_store *f = of(s);
    ken_status st = kn_memory_set_text(f->m, key, value);
    return spoil(f, st ? st : kn_journal_set_text(&f->frame, key, value));
}

/* ---- checking ---- */

static ken_status store_check(kn_store *s, ken_problem_fn fn, void *cookie)
{
    file_store *f = of(s);
    kn_memory *m = NULL;
    const unsigned char *bytes = NULL;
    size_t len = 0;
    uint64_t at = 0, generation = 0;
    ken_status st = map_log(f, &bytes, &len);
    if (!st)
        st = kn_memory_new(&m);
    if (!st)
        st = kn_journal_replay(m, bytes, len, &at, &generation);
    if (st == KEN_E_CORRUPT && fn)
        fn(kn_store_file.file, ken_last_error(), cookie);
    if (bytes)
        munmap((void *)(uintptr_t)bytes, len);
    kn_memory_free(m);
    return st;
}

const kn_store_verbs kn_store_file = {
    .name = "file",
    .file = "ken.log",
    .open = store_open,
    .close = store_close,
    .begin = store_begin,
    .end = store_end,
    .generation = store_generation,
    .items = store_items,
    .segments = store_segments,
    .dead = store_dead,
    .reject = store_reject,
    .text = store_text,
    .counts = store_counts,
    .put = store_put,
    .drop = store_drop,
    .put_segment = store_put_segment,
    .drop_segment = store_drop_segment,
    .put_dead = store_put_dead,
    .put_reject = store_put_reject,
    .drop_reject = store_drop_reject,
    .set_text = store_set_text,
    .check = store_check,
};
