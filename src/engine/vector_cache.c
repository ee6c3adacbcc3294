/* vector_cache.c - see vector_cache.h. */
#include "engine/vector_cache.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "kernels/kernels.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "KENFEAT1", dim, rows (u32), fingerprint and level (64), checksum of these (u64); zeros up to HEAD. */
enum { HEAD = 128, NAMES = 64, WAYS = 4, KEY = 16, SUM = 8 };
static const char MAGIC[] = "KENFEAT1";

typedef struct kn_vector_cache cache;
struct kn_vector_cache {
    cache *next;   /* of another model */
    int fd;        /* -1: there is none */
    char of[NAMES]; /* fingerprint and level */
    size_t dim, slot;
    uint64_t rows;
};

/* ---- the file ---- */

static void write_head(const cache *c, unsigned char head[HEAD])
{
    const uint32_t numbers[2] = { (uint32_t)c->dim, (uint32_t)c->rows };
    memset(head, 0, HEAD);
    memcpy(head, MAGIC, 8);
    memcpy(head + 8, numbers, sizeof numbers);
    memcpy(head + 16, c->of, NAMES);
    const uint64_t sum = kn_hash64(head, 16 + NAMES);
    memcpy(head + 16 + NAMES, &sum, sizeof sum);
}

static uint64_t file_bytes(const cache *c)
{
    return HEAD + c->rows * WAYS * c->slot;
}

/* The file as another run left it, if it is this model's and of this size. */
static int open_old(cache *c, const char *path)
{
    unsigned char want[HEAD], there[HEAD];
    struct stat info;
    if (kn_open(&c->fd, path, O_RDWR, 0))
        return 0;
    write_head(c, want);
    if (!fstat(c->fd, &info) && (uint64_t)info.st_size == file_bytes(c) && !kn_pread(c->fd, there, HEAD, 0) &&
        !memcmp(want, there, HEAD))
        return 1;
    close(c->fd);
    c->fd = -1;
    return 0;
}

/* A hole with a head: it takes room as it fills. */
static ken_status make_new(cache *c, const char *path)
{
    unsigned char head[HEAD];
    kn_replace r = { 0 };
    write_head(c, head);
    ken_status st = kn_replace_begin(&r, path);
    if (!st)
        st = kn_truncate(r.fd, file_bytes(c));
    if (!st)
        st = kn_pwrite(r.fd, head, HEAD, 0);
    if (!st)
        st = kn_replace_commit(&r);
    kn_replace_abort(&r);
    return st;
}

static ken_status open_file(cache *c, const char *dir)
{
    char name[NAMES + 16];
    snprintf(name, sizeof name, "vectors-%s", c->of);
    ken_status st = kn_mkdirs(dir);
    char *path = st ? NULL : kn_path_join(dir, name);
    if (!st && !path)
        st = KEN_E_NOMEM;
    if (!st && !open_old(c, path)) {
        st = make_new(c, path);
        if (!st && !open_old(c, path))
            st = kn_fail(KEN_E_IO, "%s: cannot be opened for writing", path);
    }
    kn_free(path);
    return st;
}

void kn_vector_caches_close(cache *c)
{
    while (c) {
        cache *next = c->next;
        if (c->fd >= 0)
            close(c->fd);
        kn_free(c);
        c = next;
    }
}

static ken_status open_cache(cache **out, const ken *k, const ken_model_info *info)
{
    cache *c = kn_zalloc(1, sizeof *c);
    if (!c)
        return KEN_E_NOMEM;
    c->fd = -1;
    snprintf(c->of, sizeof c->of, "%.32s-%.30s", info->fingerprint,
             k->models.encode ? "elsewhere" : kn_level_get()); /* who encodes there may do so at any level */
    c->dim = info->dim;
    c->slot = KEY + SUM + c->dim * sizeof(float);
    const uint64_t rows = k->cache_bytes / (WAYS * c->slot);
    c->rows = rows < UINT32_MAX ? rows : UINT32_MAX;
    const ken_status st = c->rows ? open_file(c, k->cache_dir) : KEN_OK;
    if (st)
        kn_log(KEN_LOG_WARN, "no cache of vectors: %s", ken_last_error());
    *out = c; /* without a file, too: it is not tried again */
    return KEN_OK;
}

/* The one of the model, opened when it is first encoded with; NULL: there is none. */
static const cache *cache_of(ken *k, const ken_model *m)
{
    const ken_model_info *info = k->encoder->info(m);
    if (!k->cache_dir || !info->fingerprint || !*info->fingerprint)
        return NULL;
    pthread_mutex_lock(&k->lock);
    cache *c = k->caches;
    while (c && strncmp(c->of, info->fingerprint, 32) != 0)
        c = c->next;
    if (!c && !open_cache(&c, k, info)) {
        c->next = k->caches;
        k->caches = c;
    }
    pthread_mutex_unlock(&k->lock);
    return c && c->fd >= 0 ? c : NULL;
}

/* ---- places ---- */

/* A place: key, checksum, vector. */
static uint64_t row_at(const cache *c, const uint64_t key[2])
{
    return HEAD + key[0] % c->rows * WAYS * c->slot;
}

static uint64_t sum_of(const cache *c, const unsigned char *slot)
{
    return kn_hash64(slot + KEY + SUM, c->slot - KEY - SUM) ^ kn_hash64(slot, KEY);
}

static int answers(const cache *c, const unsigned char *slot, const uint64_t key[2])
{
    uint64_t sum;
    memcpy(&sum, slot + KEY, sizeof sum);
    return !memcmp(slot, key, KEY) && sum == sum_of(c, slot);
}

/* room: a row.  1 if it was there. */
static int recall(const cache *c, const uint64_t key[2], unsigned char *room, float *vector)
{
    if (kn_pread(c->fd, room, WAYS * c->slot, row_at(c, key)))
        return 0;
    for (size_t i = 0; i < WAYS; i++)
        if (answers(c, room + i * c->slot, key)) {
            memcpy(vector, room + i * c->slot + KEY + SUM, c->dim * sizeof *vector);
            return 1;
        }
    return 0;
}

/* In an empty place of its row, else in that which the key names.  Failing is no failure. */
static void remember(const cache *c, const uint64_t key[2], unsigned char *room, const float *vector)
{
    static const unsigned char empty[KEY];
    size_t at = key[1] % WAYS;
    if (kn_pread(c->fd, room, WAYS * c->slot, row_at(c, key)))
        return;
    for (size_t i = WAYS; i--;)
        at = memcmp(room + i * c->slot, empty, KEY) ? at : i;
    memcpy(room, key, KEY);
    memcpy(room + KEY + SUM, vector, c->dim * sizeof *vector);
    const uint64_t sum = sum_of(c, room);
    memcpy(room + KEY, &sum, sizeof sum);
    if (kn_pwrite(c->fd, room, c->slot, row_at(c, key) + at * c->slot))
        kn_log(KEN_LOG_DEBUG, "a vector is not remembered: %s", ken_last_error());
}

/* ---- through the cache ---- */

typedef struct pass {
    uint64_t (*keys)[2];        /* (n) */
    unsigned char *room;        /* a row */
    uint8_t *pixels;            /* of those that are missing, one behind the other */
    float *vectors;             /* … and what the network made of them */
    size_t *missing;            /* (n) */
    size_t n;
} pass;

static void release(pass *p)
{
    kn_free(p->keys);
    kn_free(p->room);
    kn_free(p->pixels);
    kn_free(p->vectors);
    kn_free(p->missing);
}

static ken_status look_up(const cache *c, pass *p, const uint8_t *pixels, size_t bytes, size_t n,
                          float *vectors)
{
    p->keys = kn_alloc(n, sizeof *p->keys);
    p->room = kn_alloc(WAYS, c->slot);
    p->missing = kn_alloc(n, sizeof *p->missing);
    if (!p->keys || !p->room || !p->missing)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        kn_hash128(p->keys[i], pixels + i * bytes, bytes);
        if (!recall(c, p->keys[i], p->room, vectors + i * c->dim))
            p->missing[p->n++] = i;
    }
    return KEN_OK;
}

static ken_status encode_missing(ken *k, const ken_model *m, const cache *c, pass *p, const uint8_t *pixels,
                                 size_t bytes, float *vectors)
{
    p->pixels = kn_alloc(p->n, bytes);
    p->vectors = kn_alloc_aligned(p->n * c->dim, sizeof *p->vectors);
    if (!p->pixels || !p->vectors)
        return KEN_E_NOMEM;
    for (size_t i = 0; i < p->n; i++)
        memcpy(p->pixels + i * bytes, pixels + p->missing[i] * bytes, bytes);
    const ken_status st = k->encoder->pixels(m, p->pixels, p->n, p->vectors);
    for (size_t i = 0; !st && i < p->n; i++) {
        const float *v = p->vectors + i * c->dim;
        memcpy(vectors + p->missing[i] * c->dim, v, c->dim * sizeof *v);
        remember(c, p->keys[p->missing[i]], p->room, v);
    }
    return st;
}

/* The model's rules for pictures; NULL, and why, if it takes none. */
static const kn_prep *prep_of(const ken *k, const ken_model *m)
{
    const kn_prep *p = k->encoder->prep(m);
    if (!p)
        (void)kn_fail(KEN_E_UNSUPPORTED, "model %s has no image network", k->encoder->info(m)->name);
    return p;
}

ken_status kn_encode_pixels(ken *k, const ken_model *m, const uint8_t *pixels, size_t n, float *vectors)
{
    const kn_prep *prep = prep_of(k, m);
    pass p = { 0 };
    if (!prep)
        return KEN_E_UNSUPPORTED;
    const cache *c = cache_of(k, m);
    if (!c || !n)
        return k->encoder->pixels(m, pixels, n, vectors);
    const size_t bytes = (size_t)prep->crop[0] * prep->crop[1] * 3;
    ken_status st = look_up(c, &p, pixels, bytes, n, vectors);
    if (!st && p.n)
        st = encode_missing(k, m, c, &p, pixels, bytes, vectors);
    release(&p);
    return st;
}

ken_status kn_encode_images(ken *k, const ken_model *m, const ken_image *const *images, size_t n,
                            float *vectors)
{
    enum { CHUNK = 64 };
    const kn_prep *prep = prep_of(k, m);
    if (!prep || !n)
        return prep ? KEN_OK : KEN_E_UNSUPPORTED;
    const size_t bytes = (size_t)prep->crop[0] * prep->crop[1] * 3, dim = k->encoder->info(m)->dim;
    uint8_t *pixels = kn_alloc_aligned((n < CHUNK ? n : CHUNK) * bytes, 1);
    ken_status st = pixels ? KEN_OK : KEN_E_NOMEM;
    for (size_t i = 0; !st && i < n; i += CHUNK) {
        const size_t now = n - i < CHUNK ? n - i : CHUNK;
        st = kn_images_fit(images + i, now, prep, k->models.threads, pixels);
        if (!st)
            st = kn_encode_pixels(k, m, pixels, now, vectors + i * dim);
    }
    kn_free(pixels);
    return st;
}
