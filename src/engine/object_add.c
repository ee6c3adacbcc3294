/*
 * object_add.c - pictures become references: read, encoded whole and in parts, committed.
 *
 * A few pictures at a time; each chunk is one commit, and the answer to its caller is given after
 * it.  A picture that the collection has already, with the same bytes, keeps its id and its vector.
 */
#include "engine/object_add.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "engine/parts.h"
#include "engine/vector_cache.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { CHUNK = 16, WHY = 200 };
static const size_t MAX_FILE = (size_t)1 << 30;

typedef struct task {
    const char *object; /* borrowed; NULL: mend */
    uint64_t want;      /* the item to mend */
    uint32_t parts;     /* that many are made */
    char *path;         /* absolute, owned */
    struct stat info;
    char hash[33];
    uint32_t width, height;
    int vector;   /* which of the chunk's pictures, or -1 */
    kn_item item; /* as it was; id 0: new */
    kn_place whole;
    uint32_t first_part; /* in the chunk's run of parts */
    ken_status st;
    char why[WHY];
} task;

typedef struct adder {
    kn_edit *w;
    ken *k;
    const ken_model *model;
    const kn_prep *prep;
    float part;  /* what a part's vector is multiplied with: kn_recognition's */
    uint32_t dim, parts, threads; /* parts: the most that a picture of the chunk has */
    task tasks[CHUNK];
    size_t n;
    uint8_t *pixels; /* (CHUNK, 1 + KN_PARTS_MAX, crop, crop, 3) */
    float *vectors;  /* (CHUNK * (1 + KN_PARTS_MAX), dim) */
    float *wholes;   /* (CHUNK, dim) */
} adder;

ken_status kn_collection_recognition(ken *k, const ken_model *m, kn_recognition *out)
{
    return kn_recognition_parse(out, k->encoder->meta ? k->encoder->meta(m, "recognition") : NULL);
}

/* ---- life ---- */

static void release(adder *a)
{
    for (size_t i = 0; i < a->n; i++) {
        kn_free(a->tasks[i].path);
        kn_item_release(&a->tasks[i].item);
    }
    a->n = 0;
}

static void free_adder(adder *a)
{
    if (!a)
        return;
    release(a);
    kn_free(a->pixels);
    kn_free(a->vectors);
    kn_free(a->wholes);
    kn_free(a);
}

static size_t fit_bytes(const adder *a)
{
    return (size_t)a->prep->crop[0] * a->prep->crop[1] * 3;
}

static ken_status new_adder(adder **out, kn_edit *w)
{
    adder *a = kn_zalloc(1, sizeof *a);
    if (!a)
        return KEN_E_NOMEM;
    a->w = w;
    a->k = w->k;
    kn_recognition r = { .part = 1 };
    ken_status st = kn_collection_model(a->k, &a->model);
    if (!st)
        st = kn_collection_recognition(a->k, a->model, &r);
    if (!st) {
        a->part = (float)r.part;
        w->model = a->model;
        a->prep = a->k->encoder->prep(a->model);
        a->dim = a->k->encoder->info(a->model)->dim;
        a->threads = a->k->models.threads;
        const size_t most = CHUNK * (1 + KN_PARTS_MAX);
        a->pixels = kn_alloc_aligned(most, fit_bytes(a));
        a->vectors = kn_alloc_aligned(most * a->dim, sizeof *a->vectors);
        a->wholes = kn_alloc_aligned((size_t)CHUNK * a->dim, sizeof *a->wholes);
        if (!a->pixels || !a->vectors || !a->wholes)
            st = KEN_E_NOMEM;
    }
    if (st)
        free_adder(a);
    else
        *out = a;
    return st;
}

/* ---- reading ---- */

static int is_fatal(ken_status st)
{
    return st == KEN_E_NOMEM || st == KEN_E_CANCELED;
}

static ken_status read_one(const adder *a, task *t, uint8_t *pixels)
{
    unsigned char *data = NULL;
    size_t len = 0;
    ken_image *img = NULL;
    ken_status st = stat(t->path, &t->info) ? kn_fail(KEN_E_NOTFOUND, "no such file") : KEN_OK;
    if (!st)
        st = kn_read_file(&data, &len, t->path, MAX_FILE);
    if (!st) {
        kn_hash128_hex(t->hash, data, len);
        if (!t->object && strcmp(t->hash, t->item.hash))
            st = kn_fail(KEN_E_NOTFOUND, "the file is another by now");
    }
    if (!st)
        st = ken_image_decode(&img, data, len, &a->k->decode);
    kn_free(data);
    if (!st) {
        t->width = img->width;
        t->height = img->height;
        st = kn_parts_fit(img, a->prep, t->parts, pixels);
    }
    ken_image_free(img);
    return st;
}

static ken_status read_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    adder *a = cookie;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        task *t = &a->tasks[i];
        ken_status st = kn_check_interrupt();
        if (!st && !t->st)
            st = read_one(a, t, a->pixels + i * (1 + KN_PARTS_MAX) * fit_bytes(a));
        if (is_fatal(st))
            return st;
        if (st) {
            t->st = st;
            snprintf(t->why, sizeof t->why, "%s", ken_last_error());
        }
    }
    return KEN_OK;
}

static ken_status encode(adder *a)
{
    const size_t bytes = fit_bytes(a);
    size_t n = 0;
    ken_status st = kn_parallel(a->n, 1, a->threads, read_piece, a);
    for (size_t i = 0; !st && i < a->n; i++) {
        task *t = &a->tasks[i];
        if (t->st)
            continue;
        t->vector = (int)n;
        memmove(a->pixels + n * bytes, a->pixels + i * (1 + KN_PARTS_MAX) * bytes,
                (1 + t->parts) * bytes);
        n += 1 + t->parts;
    }
    return st || !n ? st : kn_encode_pixels(a->k, a->model, a->pixels, n, a->vectors);
}

/* ---- storing ---- */

static ken_status find_items(adder *a)
{
    ken_status st = KEN_OK;
    pthread_mutex_lock(&a->k->lock);
    for (size_t i = 0; !st && i < a->n; i++) {
        task *t = &a->tasks[i];
        const kn_select by_id = { .by = KN_BY_ID, .number = t->want };
        const kn_select by_path = { .by = KN_BY_PATH, .text = t->path };
        st = kn_store_get(a->k->store, t->want ? &by_id : &by_path, &t->item);
        if (st == KEN_E_NOTFOUND)
            st = KEN_OK;
    }
    pthread_mutex_unlock(&a->k->lock);
    return st;
}

/* The item's own vector is still that of these bytes. */
static int keeps_whole(const task *t)
{
    return t->item.segment && !strcmp(t->item.hash, t->hash);
}

static ken_status append_wholes(adder *a)
{
    uint64_t ids[CHUNK];
    kn_place places[CHUNK];
    size_t n = 0;
    for (size_t i = 0; i < a->n; i++) {
        task *t = &a->tasks[i];
        if (t->st)
            continue;
        if (!t->item.id)
            t->want = a->w->next_id++;
        else
            t->want = t->item.id;
        t->whole = (kn_place){ t->item.segment, t->item.slot };
        if (keeps_whole(t))
            continue;
        memcpy(a->wholes + n * a->dim, a->vectors + (size_t)t->vector * a->dim,
               a->dim * sizeof *a->wholes);
        ids[n++] = t->want;
    }
    ken_status st = kn_edit_vectors(a->w, ids, a->wholes, n, places);
    for (size_t i = 0, at = 0; !st && i < a->n; i++)
        if (!a->tasks[i].st && !keeps_whole(&a->tasks[i]))
            a->tasks[i].whole = places[at++];
    return st;
}

/* The parts of all, gathered to the front of vectors. */
static ken_status append_parts(adder *a, kn_place *first)
{
    uint64_t ids[CHUNK * KN_PARTS_MAX];
    uint32_t n = 0;
    for (size_t i = 0; i < a->n; i++) {
        task *t = &a->tasks[i];
        if (t->st)
            continue;
        t->first_part = n;
        memmove(a->vectors + (size_t)n * a->dim, a->vectors + ((size_t)t->vector + 1) * a->dim,
                (size_t)t->parts * a->dim * sizeof *a->vectors);
        for (size_t j = 0; j < (size_t)t->parts * a->dim; j++)
            a->vectors[(size_t)n * a->dim + j] *= a->part;
        for (uint32_t p = 0; p < t->parts; p++)
            ids[n++] = t->want;
    }
    return kn_edit_parts(a->w, ids, a->vectors, n, first);
}

static int64_t wall_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static ken_status put_task(kn_store *s, const task *t, const kn_place *first)
{
    char kind[] = "reference";
    kn_item item = t->item;
    if (!item.id)
        item = (kn_item){ .id = t->want, .kind = kind, .added_ns = wall_ns() };
    if (t->object) {
        item.path = t->path;
        item.object = (char *)(uintptr_t)t->object;
        item.bytes = (uint64_t)t->info.st_size;
        item.inode = t->info.st_ino;
        item.device = t->info.st_dev;
        item.mtime_ns = (int64_t)t->info.st_mtim.tv_sec * 1000000000 + t->info.st_mtim.tv_nsec;
        item.hidden = 0;
    }
    memcpy(item.hash, t->hash, sizeof item.hash);
    item.width = t->width;
    item.height = t->height;
    item.segment = t->whole.segment;
    item.slot = t->whole.slot;
    item.parts = t->parts;
    item.part_segment = t->parts ? first->segment : 0;
    item.part_slot = t->parts ? first->slot + t->first_part : 0;
    ken_status st = kn_store_put(s, &item);
    return st ? st : s->v->drop_reject(s, t->path);
}

static ken_status commit(adder *a, const kn_place *first)
{
    ken_status st = kn_edit_open(a->w);
    if (st)
        return st;
    for (size_t i = 0; !st && i < a->n; i++)
        if (!a->tasks[i].st)
            st = put_task(a->k->store, &a->tasks[i], first);
    return kn_edit_close(a->w, st);
}

static ken_status run_chunk(adder *a)
{
    kn_place first = { 0 };
    ken_status st = find_items(a);
    if (!st)
        st = encode(a);
    if (!st)
        st = append_wholes(a);
    if (!st)
        st = append_parts(a, &first);
    return st ? st : commit(a, &first);
}

/* ---- references ---- */

static int has_path(const adder *a, const char *path)
{
    for (size_t i = 0; i < a->n; i++)
        if (!strcmp(a->tasks[i].path, path))
            return 1;
    return 0;
}

/* Up to CHUNK of the references; a path that is there already waits for the next chunk. */
static ken_status take_chunk(adder *a, const ken_reference *refs, size_t n, uint32_t parts)
{
    release(a);
    while (a->n < n && a->n < CHUNK) {
        const ken_reference *r = &refs[a->n];
        char *path = NULL;
        if (!r->path || !*r->path || !r->object || !*r->object)
            return kn_fail(KEN_E_INVALID, "a reference without a path or an object");
        ken_status st = kn_path_absolute(&path, r->path);
        if (st)
            return st;
        if (has_path(a, path)) {
            kn_free(path);
            break;
        }
        a->tasks[a->n++] = (task){ .object = r->object, .path = path, .parts = parts, .vector = -1 };
    }
    return KEN_OK;
}

static void tell_problems(const adder *a, const ken_object_options *o, size_t from)
{
    for (size_t i = 0; o->problem && i < a->n; i++)
        if (a->tasks[i].st)
            o->problem(from + i, a->tasks[i].why, o->cookie);
}

static ken_status add_all(kn_edit *w, const ken_reference *refs, size_t n,
                          const ken_object_options *o, size_t *done)
{
    adder *a = NULL;
    kn_recognition r;
    kn_meter meter;
    ken_status st = new_adder(&a, w);
    if (!st)
        st = kn_collection_recognition(w->k, a->model, &r);
    if (!st && o->crops)
        r.crops = o->crops < 0 ? 0 : (uint32_t)o->crops;
    kn_meter_start(&meter, "add", "pictures", n, o->progress, o->cookie);
    while (!st && *done < n) {
        st = kn_meter_tell(&meter, *done, refs[*done].path);
        if (!st)
            st = take_chunk(a, refs + *done, n - *done, r.crops);
        if (!st)
            st = run_chunk(a);
        if (!st) {
            tell_problems(a, o, *done);
            *done += a->n;
        }
    }
    kn_meter_end(&meter);
    free_adder(a);
    return st;
}

ken_status ken_object_add(ken *k, const ken_reference *refs, size_t n,
                          const ken_object_options *opts, size_t *done)
{
    static const ken_object_options defaults = KEN_OBJECT_OPTIONS_INIT;
    const ken_object_options *o = opts ? opts : &defaults;
    kn_edit w = { 0 };
    size_t counted = 0;
    ken_status st = kn_enter(k);
    if (st)
        return st;
    if (o->size != sizeof *o || o->crops > KN_PARTS_MAX)
        st = kn_fail(KEN_E_INVALID, "ken_object_options: size is not set, or more than %d crops",
                     KN_PARTS_MAX);
    else if (!refs && n)
        st = kn_fail(KEN_E_INVALID, "no references");
    if (!st && n)
        st = kn_edit_begin(&w, k);
    if (!st && n)
        st = add_all(&w, refs, n, o, &counted);
    if (done)
        *done = counted;
    kn_edit_end(&w);
    kn_leave(k);
    return st;
}

/* ---- mending ---- */

typedef struct lost {
    task tasks[CHUNK];
    size_t n;
    uint64_t last;
    ken_status st;
} lost;

static int note_lost(const kn_item *item, void *cookie)
{
    lost *l = cookie;
    l->last = item->id;
    if (!item->object || item->hidden || !item->segment || !strcmp(item->kind, "model"))
        return 0;
    task t = { .want = item->id, .parts = item->parts, .vector = -1 };
    if (t.parts > KN_PARTS_MAX)
        t.parts = KN_PARTS_MAX;
    if (!(t.path = kn_strdup(item->path))) {
        l->st = KEN_E_NOMEM;
        return 1;
    }
    l->tasks[l->n++] = t;
    return l->n == CHUNK;
}

static ken_status find_lost(kn_edit *w, lost *l)
{
    const kn_select after = { .by = KN_PARTLESS, .number = l->last };
    l->n = 0;
    pthread_mutex_lock(&w->k->lock);
    ken_status st = w->k->store->v->items(w->k->store, &after, note_lost, l);
    pthread_mutex_unlock(&w->k->lock);
    return st ? st : l->st;
}

ken_status kn_object_mend(kn_edit *w)
{
    adder *a = NULL;
    lost l = { 0 };
    ken_status st = find_lost(w, &l);
    if (!st && l.n)
        st = new_adder(&a, w);
    while (!st && l.n) {
        release(a);
        memcpy(a->tasks, l.tasks, l.n * sizeof *l.tasks);
        a->n = l.n;
        l.n = 0;
        st = run_chunk(a);
        if (!st)
            st = find_lost(w, &l);
    }
    for (size_t i = 0; i < l.n; i++)
        kn_free(l.tasks[i].path);
    free_adder(a);
    return st;
}
