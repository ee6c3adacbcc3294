/*
 * copy.c - a collection from one kind of store into another.
 *
 * Both sides are opened as collections are, but with an encoder that encodes nothing: it only says
 * whose vectors they are.  Items go over in pages, each one commit, in the order of their ids; an item that
 * is there already and equal is passed over.  Then both sides are read again and compared by checksum.
 *
 * The folder of a remote store that is copied from or to is a temporary one: what must last is on the server.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/progress.h"
#include "engine/remote.h"
#include "engine/writer.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE = 128, MAX_PARTS = 64, NAME = 256 };

/* ---- an encoder that encodes nothing ---- */

typedef struct stand_in {
    ken_model_info info;
    char name[NAME], path[4096], fingerprint[33], precision[16];
} stand_in;

static const stand_in *stand_in_of(const ken_model *m)
{
    return (const stand_in *)(const void *)m;
}

static const ken_model_info *info_of(const ken_model *m)
{
    return &stand_in_of(m)->info;
}

static void close_model(ken_model *m)
{
    (void)m; /* it is on the stack of ken_copy */
}

static ken_status open_none(ken_model **out, const char *name, const ken_model_options *o)
{
    (void)out;
    (void)o;
    return kn_fail(KEN_E_MODEL, "%s: a copy needs no model", name);
}

static const kn_encoder no_encoder = { .open = open_none, .close = close_model, .info = info_of };

/* ---- the two sides ---- */

typedef struct side {
    const char *url; /* as it was named */
    char *store;     /* "sqlite:" …, the whole URL of a remote one, or NULL: whatever is there */
    char *dir;
    int temporary; /* dir goes at the end */
    ken *k;
} side;

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

static void close_side(side *s)
{
    ken_close(s->k);
    if (s->temporary)
        nftw(s->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    kn_free(s->store);
    kn_free(s->dir);
}

static ken_status make_temporary(side *s)
{
    const char *tmp = getenv("TMPDIR");
    if (!(s->dir = kn_path_join(tmp && *tmp ? tmp : "/tmp", "ken-copy-XXXXXX")))
        return KEN_E_NOMEM;
    if (!mkdtemp(s->dir))
        return kn_fail(KEN_E_IO, "%s: no temporary folder", s->dir);
    s->temporary = 1;
    return KEN_OK;
}

static ken_status take_url(side *s, const char *url)
{
    const size_t n = strcspn(url, ":/");
    const int kind = url[n] == ':';
    s->url = url;
    if (kind && !strncmp(url + n, "://", 3)) {
        s->store = kn_strdup(url);
        return s->store ? make_temporary(s) : KEN_E_NOMEM;
    }
    if (kind && !(s->store = kn_strndup(url, n + 1)))
        return KEN_E_NOMEM;
    const char *dir = kind ? url + n + 1 : url;
    return *dir ? kn_path_absolute(&s->dir, dir) : kn_fail(KEN_E_INVALID, "%s: it names no folder", url);
}

/* What the source says of its model. */
static ken_status read_text(kn_store *s, const char *key, char *out, size_t size)
{
    char *text = NULL;
    ken_status st = s->v->text(s, key, &text);
    if (!st)
        snprintf(out, size, "%s", text ? text : "");
    kn_free(text);
    return st;
}

static ken_status describe(kn_store *s, stand_in *m)
{
    uint64_t dim = 0;
    ken_status st = read_text(s, KN_KEY_MODEL, m->name, sizeof m->name);
    if (!st)
        st = read_text(s, KN_KEY_PATH, m->path, sizeof m->path);
    if (!st)
        st = read_text(s, KN_KEY_FINGERPRINT, m->fingerprint, sizeof m->fingerprint);
    if (!st)
        st = read_text(s, KN_KEY_PRECISION, m->precision, sizeof m->precision);
    if (!st)
        st = kn_store_number(s, KN_KEY_DIM, &dim);
    m->info = (ken_model_info){ .name = m->name,
                                .path = m->path,
                                .fingerprint = m->fingerprint,
                                .precision = m->precision,
                                .dim = (uint32_t)dim };
    return st ? st : dim ? KEN_OK : kn_fail(KEN_E_CORRUPT, "its model is not recorded");
}

/* Records that a new store begins with, as those of create() in collection.c. */
static ken_status write_first(kn_store *s, const stand_in *m, kn_element element)
{
    char dim[24];
    snprintf(dim, sizeof dim, "%u", m->info.dim);
    ken_status st = s->v->begin(s, 1);
    if (st)
        return st;
    const char *const texts[][2] = { { KN_KEY_MODEL, m->name },
                                     { KN_KEY_PATH, m->path },
                                     { KN_KEY_PRECISION, m->precision },
                                     { KN_KEY_DIM, dim },
                                     { KN_KEY_ELEMENT, element == KN_ELEMENT_F16 ? "f16" : "f32" },
                                     { KN_KEY_FINGERPRINT, m->fingerprint } };
    for (size_t i = 0; !st && i < sizeof texts / sizeof *texts; i++)
        st = s->v->set_text(s, texts[i][0], texts[i][1]);
    ken_status end = s->v->end(s, !st);
    return st ? st : end;
}

/* Made, if it is not there, with the source's model. */
static ken_status make_target(const side *to, const stand_in *m, kn_element element, double wait)
{
    char have[NAME] = "";
    kn_lock lock = { -1 };
    kn_store *s = NULL;
    ken_status st = kn_mkdirs(to->dir);
    if (!st)
        st = kn_lock_take(&lock, to->dir, wait);
    if (!st)
        st = kn_store_open(&s, to->store, to->dir, KN_STORE_CREATE);
    if (!st)
        st = read_text(s, KN_KEY_FINGERPRINT, have, sizeof have);
    if (!st && !*have)
        st = write_first(s, m, element);
    else if (!st && strcmp(have, m->fingerprint))
        st = kn_fail(KEN_E_MODEL, "it holds vectors of another model");
    kn_store_close(s);
    kn_lock_release(&lock);
    return st;
}

static ken_status open_side(side *s, const ken_options *o)
{
    ken_options own = *o;
    own.store = s->store;
    return kn_collection_open(&s->k, s->dir, &own, &no_encoder);
}

/* ---- items ---- */

typedef struct page {
    kn_item items[PAGE];
    size_t n;
    ken_status st;
} page;

static int add_item(const kn_item *item, void *cookie)
{
    page *p = cookie;
    p->st = kn_item_copy(&p->items[p->n], item);
    p->n += !p->st;
    return p->st != KEN_OK;
}

static void clear_page(page *p)
{
    for (size_t i = 0; i < p->n; i++)
        kn_item_release(&p->items[i]);
    p->n = 0;
}

static ken_status read_page(ken *k, uint64_t after, page *p)
{
    const kn_select which = { .by = KN_AFTER, .number = after, .limit = PAGE };
    pthread_mutex_lock(&k->lock);
    ken_status st = k->store->v->items(k->store, &which, add_item, p);
    pthread_mutex_unlock(&k->lock);
    return st ? st : p->st;
}

/* The vectors of a page's items. */
typedef struct vectors {
    float *wholes;                     /* (PAGE, dim) item i's at i */
    float *rest;                       /* (rest_cap, dim) parts of pictures, then views of models … */
    size_t first[PAGE];                /* … item i's from here on */
    size_t rest_cap, pictures, models; /* how many of both */
} vectors;

static uint32_t parts_of(const kn_item *item)
{
    return item->part_segment ? item->parts : 0;
}

static int is_model(const kn_item *item)
{
    return !strcmp(item->kind, "model");
}

/* Items of the page with parts, of pictures or of models; where each one's begin. */
static size_t choose(const page *p, int models, vectors *v, size_t *at, const kn_item **items)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (!parts_of(&p->items[i]) || is_model(&p->items[i]) != models)
            continue;
        v->first[i] = *at;
        *at += p->items[i].parts;
        items[n++] = &p->items[i];
    }
    return n;
}

static ken_status load_wholes(ken *k, const page *p, uint32_t dim, vectors *v)
{
    const kn_item *items[PAGE];
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->items[i].segment)
            items[n++] = &p->items[i];
    ken_status st = kn_collection_vectors(k, KN_WHOLES, items, n, dim, v->wholes);
    for (size_t i = p->n; !st && i-- > 0;) /* to their items' places, the last ones first */
        if (p->items[i].segment && --n != i)
            memmove(v->wholes + i * dim, v->wholes + n * dim, dim * sizeof *v->wholes);
    return st;
}

static ken_status load(ken *k, const page *p, uint32_t dim, vectors *v)
{
    const kn_item *pictures[PAGE], *models[PAGE];
    size_t at = 0;
    memset(v->first, 0, sizeof v->first);
    const size_t n = choose(p, 0, v, &at, pictures);
    v->pictures = at;
    const size_t m = choose(p, 1, v, &at, models);
    v->models = at - v->pictures;
    if (at > MAX_PARTS * PAGE)
        return kn_fail(KEN_E_CORRUPT, "items with %zu parts", at);
    if (at > v->rest_cap) {
        float *rest = kn_grow(v->rest, at, dim * sizeof *rest);
        if (!rest)
            return KEN_E_NOMEM;
        v->rest = rest;
        v->rest_cap = at;
    }
    ken_status st = load_wholes(k, p, dim, v);
    if (!st && n)
        st = kn_collection_vectors(k, KN_PARTS, pictures, n, dim, v->rest);
    if (!st && m)
        st = kn_collection_vectors(k, KN_VIEWS_OF_MODELS, models, m, dim, v->rest + v->pictures * dim);
    return st;
}

/* ---- checksums ---- */

static void add_text(kn_hash *h, const char *s)
{
    const unsigned char there = s != NULL;
    kn_hash_add(h, &there, 1);
    if (s)
        kn_hash_add(h, s, strlen(s) + 1);
}

/* Parts of pictures as bytes, which is how precisely a local store keeps them. */
static void add_parts(kn_hash *h, const kn_item *item, uint32_t dim, const float *parts, unsigned char *row)
{
    for (uint32_t i = 0; i < parts_of(item); i++, parts += dim) {
        if (is_model(item)) {
            kn_hash_add(h, parts, dim * sizeof *parts);
            continue;
        }
        kn_row_pack_i8(parts, dim, row);
        kn_hash_add(h, row + sizeof(float), dim); /* behind the scale */
    }
}

static void add_to_hash(kn_hash *h, const kn_item *item, uint32_t dim, const float *whole,
                        const float *parts, unsigned char *row)
{
    const uint64_t numbers[] = {
        item->id,     item->bytes, (uint64_t)item->mtime_ns, (uint64_t)item->added_ns, item->width,
        item->height, item->parts, (uint64_t)item->hidden,   item->segment != 0,       parts_of(item)
    };
    kn_hash_add(h, numbers, sizeof numbers);
    add_text(h, item->path);
    add_text(h, item->object);
    add_text(h, item->meta);
    add_text(h, item->kind);
    add_text(h, item->hash);
    if (item->segment)
        kn_hash_add(h, whole, dim * sizeof *whole);
    add_parts(h, item, dim, parts, row);
}

/* ---- copying ---- */

typedef struct copier {
    side from, to;
    stand_in model;
    uint32_t dim;
    kn_edit w;
    kn_meter meter;
    vectors v;
    unsigned char *row; /* a packed part */
    ken_copy_report *r;
} copier;

static int same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static int same_item(const kn_item *a, const kn_item *b)
{
    return same_text(a->path, b->path) && same_text(a->object, b->object) && same_text(a->meta, b->meta) &&
           same_text(a->kind, b->kind) && !strcmp(a->hash, b->hash) && a->bytes == b->bytes &&
           a->width == b->width && a->height == b->height && a->mtime_ns == b->mtime_ns &&
           a->added_ns == b->added_ns && a->parts == b->parts && a->hidden == b->hidden &&
           !a->segment == !b->segment && !a->part_segment == !b->part_segment;
}

static ken_status is_there(copier *c, const kn_item *item, int *yes)
{
    const kn_select which = { .by = KN_BY_ID, .number = item->id };
    kn_item have = { 0 };
    pthread_mutex_lock(&c->to.k->lock);
    ken_status st = kn_store_get(c->to.k->store, &which, &have);
    pthread_mutex_unlock(&c->to.k->lock);
    *yes = !st && same_item(item, &have);
    kn_item_release(&have);
    return st == KEN_E_NOTFOUND ? KEN_OK : st;
}

/* Whose vectors they are, in their order. */
static ken_status name_rows(const page *p, int models, uint64_t **out)
{
    size_t n = 0;
    uint64_t *ids = kn_alloc(PAGE * MAX_PARTS, sizeof *ids);
    for (size_t i = 0; ids && i < p->n; i++)
        for (uint32_t j = 0; is_model(&p->items[i]) == models && j < parts_of(&p->items[i]); j++)
            ids[n++] = p->items[i].id;
    *out = ids;
    return ids ? KEN_OK : KEN_E_NOMEM;
}

/* The page's parts, or its models' views, into the target; items learn where they are. */
static ken_status move_parts(copier *c, page *p, int models)
{
    const size_t skip = models ? c->v.pictures : 0, n = models ? c->v.models : c->v.pictures;
    kn_place first = { 0 };
    uint64_t *ids = NULL;
    if (!n)
        return KEN_OK;
    ken_status st = name_rows(p, models, &ids);
    if (!st)
        st = models ? kn_edit_views(&c->w, ids, c->v.rest + skip * c->dim, n, &first)
                    : kn_edit_parts(&c->w, ids, c->v.rest, n, &first);
    for (size_t i = 0; !st && i < p->n; i++)
        if (parts_of(&p->items[i]) && is_model(&p->items[i]) == models) {
            p->items[i].part_segment = first.segment;
            p->items[i].part_slot = first.slot + (uint32_t)(c->v.first[i] - skip);
        }
    kn_free(ids);
    return st;
}

/* Items without a vector lie between those with one. */
static ken_status move_wholes(copier *c, page *p)
{
    ken_status st = KEN_OK;
    for (size_t i = 0, end; !st && i < p->n; i = end) {
        uint64_t ids[PAGE];
        kn_place places[PAGE];
        for (end = i; end < p->n && p->items[end].segment; end++)
            ids[end - i] = p->items[end].id;
        st = kn_edit_vectors(&c->w, ids, c->v.wholes + i * c->dim, end - i, places);
        for (size_t j = i; !st && j < end; j++) {
            p->items[j].segment = places[j - i].segment;
            p->items[j].slot = places[j - i].slot;
        }
        end += end < p->n; /* the one without */
    }
    return st;
}

static ken_status commit(copier *c, const page *p)
{
    kn_store *store = c->to.k->store;
    ken_status st = kn_edit_open(&c->w);
    if (st)
        return st;
    for (size_t i = 0; !st && i < p->n; i++)
        st = kn_store_put(store, &p->items[i]);
    return kn_edit_close(&c->w, st);
}

/* The page without what is there already. */
static ken_status leave_out(copier *c, page *p)
{
    size_t kept = 0;
    ken_status st = KEN_OK;
    for (size_t i = 0; i < p->n; i++) {
        int there = 0;
        if (!st)
            st = is_there(c, &p->items[i], &there);
        c->r->items++;
        c->r->vectors += (p->items[i].segment != 0) + (p->items[i].part_segment ? p->items[i].parts : 0);
        c->r->present += (uint64_t)there;
        if (there)
            kn_item_release(&p->items[i]);
        else
            p->items[kept++] = p->items[i];
    }
    p->n = kept;
    return st;
}

static ken_status copy_page(copier *c, page *p)
{
    ken_status st = leave_out(c, p);
    for (size_t i = 0; i < p->n; i++) /* ids that the target gives out from now on are others */
        if (!c->to.k->store->v->keep && p->items[i].id >= c->w.next_id)
            c->w.next_id = p->items[i].id + 1;
    if (st || !p->n)
        return st;
    st = load(c->from.k, p, c->dim, &c->v);
    if (!st)
        st = move_wholes(c, p);
    if (!st)
        st = move_parts(c, p, 0);
    if (!st)
        st = move_parts(c, p, 1);
    if (!st)
        st = commit(c, p);
    c->r->copied += st ? 0 : p->n;
    return st;
}

static ken_status copy_all(copier *c)
{
    page *p = kn_zalloc(1, sizeof *p);
    uint64_t after = 0, done = 0;
    ken_status st = p ? KEN_OK : KEN_E_NOMEM;
    while (!st) {
        st = read_page(c->from.k, after, p);
        const size_t n = p->n;
        if (st || !n)
            break;
        after = p->items[n - 1].id;
        st = kn_meter_tell(&c->meter, done, p->items[0].path);
        if (!st)
            st = copy_page(c, p);
        done += n;
        clear_page(p);
    }
    if (p)
        clear_page(p);
    kn_free(p);
    return st;
}

/* ---- verifying ---- */

/* The same ids' items as `k` has them, in the place of the page's. */
static ken_status read_again(ken *k, page *p)
{
    ken_status st = KEN_OK;
    pthread_mutex_lock(&k->lock);
    for (size_t i = 0; !st && i < p->n; i++) {
        const kn_select which = { .by = KN_BY_ID, .number = p->items[i].id };
        kn_item item = { 0 };
        st = kn_store_get(k->store, &which, &item);
        if (!st) {
            kn_item_release(&p->items[i]);
            p->items[i] = item;
        }
    }
    pthread_mutex_unlock(&k->lock);
    return st;
}

/* Of the items of `from`, as `k` has them. */
static ken_status hash_side(copier *c, ken *k, uint64_t done, char out[33])
{
    page *p = kn_zalloc(1, sizeof *p);
    kn_hash *h = NULL;
    uint64_t after = 0;
    ken_status st = p ? kn_hash_new(&h) : KEN_E_NOMEM;
    while (!st) {
        st = read_page(c->from.k, after, p);
        if (st || !p->n)
            break;
        after = p->items[p->n - 1].id;
        st = kn_meter_tell(&c->meter, done, p->items[0].path);
        if (!st && k != c->from.k)
            st = read_again(k, p);
        if (!st)
            st = load(k, p, c->dim, &c->v);
        for (size_t i = 0; !st && i < p->n; i++)
            add_to_hash(h, &p->items[i], c->dim, c->v.wholes + i * c->dim,
                        c->v.rest + c->v.first[i] * c->dim, c->row);
        done += p->n;
        clear_page(p);
    }
    if (p)
        clear_page(p);
    if (!st)
        kn_hash_get128_hex(h, out);
    kn_hash_free(h);
    kn_free(p);
    return st;
}

static ken_status verify(copier *c, const ken_copy_options *o)
{
    char here[33], there[33];
    kn_counts counts = { 0 };
    kn_meter_start(&c->meter, "verify", "items", c->r->items * 2, o->progress, o->cookie);
    ken_status st = hash_side(c, c->from.k, 0, here);
    if (!st)
        st = hash_side(c, c->to.k, c->r->items, there);
    kn_meter_end(&c->meter);
    if (!st && strcmp(here, there))
        st = kn_fail(KEN_E_CORRUPT, "%s is not what %s is: checksum %s, and %s there", c->to.url,
                     c->from.url, here, there);
    if (!st) {
        pthread_mutex_lock(&c->to.k->lock);
        st = c->to.k->store->v->counts(c->to.k->store, &counts);
        pthread_mutex_unlock(&c->to.k->lock);
        c->r->others = counts.items - c->r->items;
        memcpy(c->r->checksum, here, sizeof here);
    }
    return st;
}

/* ---- the call ---- */

static ken_status open_both(copier *c, const char *from, const char *to, const ken_copy_options *o)
{
    ken_options reading = KEN_OPTIONS_INIT, writing = KEN_OPTIONS_INIT;
    reading.read_only = 1;
    writing.wait = o->wait;
    ken_status st = take_url(&c->from, from);
    if (!st)
        st = take_url(&c->to, to);
    if (!st && !strcmp(c->from.dir, c->to.dir))
        st = kn_fail(KEN_E_INVALID, "both are in %s", c->to.dir);
    if (!st) {
        st = open_side(&c->from, &reading);
        if (!st)
            st = describe(c->from.k->store, &c->model);
        if (st)
            return kn_fail_in(st, "%s", from);
    }
    if (!st)
        st = make_target(&c->to, &c->model, c->from.k->element,
                         o->wait > 0   ? o->wait
                         : o->wait < 0 ? 0
                                       : 30);
    if (!st)
        st = open_side(&c->to, &writing);
    return st ? kn_fail_in(st, "%s", to) : KEN_OK;
}

static ken_status run(copier *c, const ken_copy_options *o)
{
    kn_counts counts = { 0 };
    const size_t row = kn_row_bytes(KN_ELEMENT_I8, c->dim = c->model.info.dim);
    c->row = kn_alloc(row, 1);
    c->v.wholes = kn_alloc(PAGE, c->dim * sizeof *c->v.wholes);
    c->v.rest = kn_alloc(1, c->dim * sizeof *c->v.rest);
    c->v.rest_cap = 1;
    if (!c->row || !c->v.wholes || !c->v.rest)
        return KEN_E_NOMEM;
    pthread_mutex_lock(&c->from.k->lock);
    ken_status st = c->from.k->store->v->counts(c->from.k->store, &counts);
    pthread_mutex_unlock(&c->from.k->lock);
    if (!st)
        st = kn_edit_begin(&c->w, c->to.k);
    c->w.model = (const ken_model *)(const void *)&c->model;
    kn_meter_start(&c->meter, "copy", "items", counts.items, o->progress, o->cookie);
    if (!st)
        st = copy_all(c);
    kn_meter_end(&c->meter);
    kn_edit_end(&c->w);
    if (!st && c->r->copied)
        st = kn_remote_settle(c->to.k);
    return st ? st : verify(c, o);
}

ken_status ken_copy(const char *from, const char *to, const ken_copy_options *opts, ken_copy_report *report)
{
    static const ken_copy_options defaults = KEN_COPY_OPTIONS_INIT;
    const ken_copy_options *o = opts ? opts : &defaults;
    const double start = kn_clock();
    ken_copy_report r = { 0 };
    if (!from || !to || !report || o->size != sizeof *o)
        return kn_fail(KEN_E_INVALID, "ken_copy: a NULL argument, or size is not set");
    copier *c = kn_zalloc(1, sizeof *c);
    if (!c)
        return KEN_E_NOMEM;
    c->r = &r;
    ken_status st = open_both(c, from, to, o);
    if (!st)
        st = run(c, o);
    close_side(&c->from);
    close_side(&c->to);
    kn_free(c->row);
    kn_free(c->v.wholes);
    kn_free(c->v.rest);
    kn_free(c);
    r.seconds = kn_clock() - start;
    if (!st || st == KEN_E_CANCELED)
        *report = r;
    return st;
}
