/* log.c - the layout of log.h. */
#include "index/log.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { VERSION = 1, FIRST = 128 };
static const char MAGIC[8] = "KENILOG";

typedef struct head {
    char magic[8];
    uint32_t version, dim;
    uint64_t number, check; /* of all above */
} head;
typedef struct commit {
    uint64_t turn, length, check; /* of both; turn 0: never written */
} commit;
typedef struct batch {
    uint32_t op, reserved;
    uint64_t n, at, check; /* of all above and of what follows; at: the batch's place */
} batch;
_Static_assert(sizeof(head) == 32 && sizeof(commit) == 24 && sizeof(batch) == 32,
               "their layout is in files");

enum { COMMIT_AT = 32, COMMIT_APART = 48 };

struct kn_index_log {
    int fd;
    uint32_t dim;
    commit last;
};

/* ---- reading ---- */

static int good_head(const head *h)
{
    return !memcmp(h->magic, MAGIC, sizeof MAGIC) && h->check == kn_hash64(h, offsetof(head, check));
}

static ken_status check_head(const head *h, uint64_t number, uint32_t dim, int *stale)
{
    if (!good_head(h))
        return kn_fail(KEN_E_CORRUPT, "the log's header is damaged, at byte 0");
    if (h->version > VERSION)
        return kn_fail(KEN_E_VERSION, "the log was written by a newer ken (format %u)", h->version);
    *stale = h->number != number;
    if (!*stale && h->dim != dim)
        return kn_fail(KEN_E_CORRUPT, "the log is of dimension %u, the index of %u", h->dim, dim);
    return KEN_OK;
}

/* The newer of the two that hold. */
static int last_commit(const unsigned char *first, commit *out)
{
    int found = 0;
    *out = (commit){ 0 };
    for (int i = 0; i < 2; i++) {
        commit c;
        memcpy(&c, first + COMMIT_AT + i * COMMIT_APART, sizeof c);
        if (c.turn > out->turn && c.check == kn_hash64(&c, offsetof(commit, check))) {
            *out = c;
            found = 1;
        }
    }
    return found;
}

static uint64_t check_of(const batch *b, const void *ids, size_t id_bytes, const void *rows,
                         size_t row_bytes)
{
    const uint64_t sums[3] = { kn_hash64(b, offsetof(batch, check)), kn_hash64(ids, id_bytes),
                               kn_hash64(rows, row_bytes) };
    return kn_hash64(sums, sizeof sums);
}

static ken_status replay_batch(const unsigned char *data, size_t len, size_t *at, uint32_t dim,
                               kn_index_log_fn fn, void *cookie)
{
    batch b;
    const size_t left = len - *at;
    size_t each, ids = 0, rows = 0;
    if (left < sizeof b)
        return kn_fail(KEN_E_CORRUPT, "the log ends within a batch, at byte %zu", *at);
    memcpy(&b, data + *at, sizeof b);
    each = sizeof(uint64_t) + (b.op == KN_LOG_PUT ? dim * sizeof(float) : 0);
    if ((b.op != KN_LOG_PUT && b.op != KN_LOG_REMOVE) || b.at != *at
        || b.n > (left - sizeof b) / each)
        return kn_fail(KEN_E_CORRUPT, "the log holds no batch at byte %zu", *at);
    const unsigned char *p = data + *at + sizeof b;
    ids = (size_t)b.n * sizeof(uint64_t);
    rows = (size_t)b.n * each - ids;
    if (b.check != check_of(&b, p, ids, p + ids, rows))
        return kn_fail(KEN_E_CORRUPT, "the log's checksum does not hold, at byte %zu", *at);
    *at += (sizeof b + ids + rows + 7) / 8 * 8;
    return fn((kn_index_log_op)b.op, (const void *)p, rows ? (const void *)(p + ids) : NULL, (size_t)b.n,
              cookie);
}

static ken_status replay(const kn_map *m, uint64_t number, uint32_t dim, kn_index_log_fn fn, void *cookie)
{
    head h;
    commit c;
    int stale = 0;
    if (m->len < FIRST)
        return KEN_OK; /* a writer died while making it */
    memcpy(&h, m->data, sizeof h);
    ken_status st = check_head(&h, number, dim, &stale);
    if (st || stale)
        return st;
    if (!last_commit(m->data, &c))
        return kn_fail(KEN_E_CORRUPT, "the log's commit is damaged, at byte %d", COMMIT_AT);
    if (c.length < FIRST || c.length > m->len)
        return kn_fail(KEN_E_CORRUPT, "the log has %zu bytes and should have %llu", m->len,
                       (unsigned long long)c.length);
    for (size_t at = FIRST; !st && at < c.length;)
        st = replay_batch(m->data, (size_t)c.length, &at, dim, fn, cookie);
    return st;
}

ken_status kn_index_log_replay(const char *path, uint64_t number, uint32_t dim, kn_index_log_fn fn,
                         void *cookie)
{
    kn_map m = { 0 };
    ken_status st = kn_map_open(&m, path);
    if (st == KEN_E_NOTFOUND)
        return KEN_OK;
    if (!st)
        st = replay(&m, number, dim, fn, cookie);
    kn_map_close(&m);
    return st ? kn_fail_in(st, "%s", path) : KEN_OK;
}

/* ---- writing ---- */

static ken_status put_commit(kn_index_log *l, uint64_t length)
{
    commit c = { .turn = l->last.turn + 1, .length = length };
    c.check = kn_hash64(&c, offsetof(commit, check));
    ken_status st =
        kn_pwrite(l->fd, &c, sizeof c, COMMIT_AT + (c.turn % 2) * COMMIT_APART);
    if (!st)
        st = kn_sync(l->fd);
    if (!st)
        l->last = c;
    return st;
}

/* An empty log takes the place of whatever there is. */
static ken_status make(kn_index_log *l, const char *path, uint64_t number)
{
    unsigned char first[FIRST] = { 0 };
    head h = { .version = VERSION, .dim = l->dim, .number = number };
    memcpy(h.magic, MAGIC, sizeof h.magic);
    h.check = kn_hash64(&h, offsetof(head, check));
    memcpy(first, &h, sizeof h);
    l->last = (commit){ .turn = 1, .length = FIRST };
    l->last.check = kn_hash64(&l->last, offsetof(commit, check));
    memcpy(first + COMMIT_AT + COMMIT_APART, &l->last, sizeof l->last);
    ken_status st = kn_replace_file(path, first, sizeof first);
    return st ? st : kn_open(&l->fd, path, O_RDWR, 0);
}

static ken_status load(kn_index_log *l, const char *path, uint64_t number)
{
    unsigned char first[FIRST];
    head h;
    struct stat info;
    int stale = 0;
    ken_status st = kn_open(&l->fd, path, O_RDWR, 0);
    if (st == KEN_E_NOTFOUND)
        return make(l, path, number);
    if (!st && fstat(l->fd, &info) != 0)
        st = kn_fail_errno(errno);
    if (!st && info.st_size < FIRST)
        stale = 1;
    if (!st && !stale)
        st = kn_pread(l->fd, first, sizeof first, 0);
    if (!st && !stale) {
        memcpy(&h, first, sizeof h);
        st = check_head(&h, number, l->dim, &stale);
    }
    if (!st && stale) {
        close(l->fd);
        l->fd = -1;
        return make(l, path, number);
    }
    if (!st && !last_commit(first, &l->last))
        st = kn_fail(KEN_E_CORRUPT, "the log's commit is damaged, at byte %d", COMMIT_AT);
    return st;
}

ken_status kn_index_log_open(kn_index_log **out, const char *path, uint64_t number, uint32_t dim)
{
    kn_index_log *l = kn_zalloc(1, sizeof *l);
    if (!l)
        return KEN_E_NOMEM;
    l->fd = -1;
    l->dim = dim;
    ken_status st = load(l, path, number);
    if (!st && flock(l->fd, LOCK_EX | LOCK_NB) != 0)
        st = errno == EWOULDBLOCK ? kn_fail(KEN_E_BUSY, "another process is writing")
                                  : kn_fail_errno(errno);
    if (st) {
        kn_index_log_close(l);
        return kn_fail_in(st, "%s", path);
    }
    *out = l;
    return KEN_OK;
}

ken_status kn_index_log_append(kn_index_log *l, kn_index_log_op op, const uint64_t *ids,
                               const float *rows, size_t n)
{
    static const unsigned char nothing[8];
    const size_t id_bytes = n * sizeof *ids,
                 row_bytes = op == KN_LOG_PUT ? n * l->dim * sizeof *rows : 0;
    const size_t pad = (size_t)(-(id_bytes + row_bytes) % 8);
    uint64_t at = l->last.length;
    batch b = { .op = (uint32_t)op, .n = n, .at = at };
    b.check = check_of(&b, ids, id_bytes, rows, row_bytes);
    ken_status st = kn_pwrite(l->fd, &b, sizeof b, at);
    at += sizeof b;
    if (!st)
        st = kn_pwrite(l->fd, ids, id_bytes, at);
    at += id_bytes;
    if (!st && row_bytes)
        st = kn_pwrite(l->fd, rows, row_bytes, at);
    at += row_bytes;
    if (!st && pad)
        st = kn_pwrite(l->fd, nothing, pad, at);
    at += pad;
    if (!st)
        st = kn_sync(l->fd);
    return st ? st : put_commit(l, at);
}

void kn_index_log_close(kn_index_log *l)
{
    if (!l)
        return;
    if (l->fd >= 0)
        close(l->fd);
    kn_free(l);
}
