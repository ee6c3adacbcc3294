/*
 * lookup_build.c - making the index files, and looking whether they are whole.
 *
 * A file is written beside its place and renamed, then a commit raises the store's generation, so that
 * every process looks again.  Between the two, and after a kill at any step, an old file, a new one or
 * none is there: each is a true one of the same vectors.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "engine/lookup.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int is_dead(const kn_view *v, size_t i, uint32_t slot)
{
    return v->dead[i] && (v->dead[i][slot / 64] >> slot % 64 & 1);
}

/* ---- building ---- */

/* Places of the role's live rows that no index covers, *n of them, in the order of segments; kn_free.
 * covered: of each segment so many rows, or NULL. */
static uint64_t *live_places(const kn_view *v, kn_role role, const uint32_t *covered, uint64_t most,
                             size_t *n)
{
    uint64_t *places = kn_alloc(most ? (size_t)most : 1, sizeof *places);
    *n = 0;
    for (size_t i = 0; places && i < v->n; i++)
        for (uint32_t s = covered ? covered[i] : 0;
             kn_lookup_role(v, i) == role && s < v->segments[i].rows; s++)
            if (!is_dead(v, i, s))
                places[(*n)++] = kn_place_id(v->segments[i].info.number, s);
    return places;
}

/* A bitmap of an index's slots whose row is dead or not there. */
static uint64_t *dead_slots(const kn_view *v, const kn_index *ix)
{
    const kn_rows *r = kn_index_rows(ix);
    uint64_t *gone = kn_zalloc(r->n / 64 + 1, sizeof *gone);
    size_t segment;
    uint32_t slot;
    for (size_t i = 0; gone && i < r->n; i++)
        if (!kn_place_find(v, r->ids[i], &segment, &slot) || is_dead(v, segment, slot))
            gone[i / 64] |= UINT64_C(1) << i % 64;
    return gone;
}

/* The note for all of the role's segments as v has them. */
static ken_status put_note(kn_index *ix, const kn_view *v, kn_role role)
{
    kn_lookup_note note = { .version = KN_LOOKUP_NOTE };
    const size_t room = sizeof note + v->n * sizeof(kn_covered);
    unsigned char *bytes = kn_alloc(room, 1);
    size_t at = sizeof note;
    if (!bytes)
        return KEN_E_NOMEM;
    memcpy(note.fingerprint, v->segments[0].info.fingerprint, 33);
    for (size_t i = 0; i < v->n; i++) {
        const kn_segment *s = &v->segments[i];
        const kn_covered c = { s->info.number, s->rows, kn_covered_check(s, s->rows) };
        if (kn_lookup_role(v, i) != role)
            continue;
        memcpy(bytes + at, &c, sizeof c);
        at += sizeof c;
        note.segments++;
    }
    memcpy(bytes, &note, sizeof note);
    const ken_status st = kn_index_set_note(ix, bytes, at);
    kn_free(bytes);
    return st;
}

typedef struct builder {
    kn_edit *w;
    kn_view *v;
    kn_build build;
    char asked[KN_SPEC_TEXT];
    int afresh;  /* nothing goes on: what is there may be damaged where nobody has looked */
    int changed; /* a file was written or removed */
} builder;

static ken_status build_role(builder *b, kn_role role, const char *path, const kn_lookup_file *f,
                             const kn_lookup_count *c)
{
    size_t n = 0;
    kn_index *ix = NULL;
    const int goes_on = f->ix && !strcmp(c->kind, c->wanted) && !b->afresh && kn_index_intact(f->ix);
    uint64_t *places = live_places(b->v, role, goes_on ? f->covered : NULL, c->live, &n);
    uint64_t *gone = goes_on ? dead_slots(b->v, f->ix) : NULL;
    ken_status st = !places || (goes_on && !gone) ? KEN_E_NOMEM
                    : goes_on ? kn_index_follow(&ix, f->ix, gone, places, n, &b->build)
                              : kn_index_build_over(&ix, c->wanted, &f->source, places, n, b->v->dim,
                                                    &b->build);
    kn_free(places);
    kn_free(gone);
    if (!st)
        st = put_note(ix, b->v, role);
    if (!st)
        st = kn_index_save(ix, path);
    kn_index_free(ix);
    b->changed = 1;
    return st;
}

static ken_status update_role(builder *b, kn_role role, int force)
{
    ken *k = b->w->k;
    kn_lookup_file f = { 0 };
    kn_lookup_count c;
    char *path = kn_lookup_path(k, role);
    ken_status st = path ? kn_lookup_open(k, b->v, role, &f) : KEN_E_NOMEM;
    if (!st)
        st = kn_lookup_counts(b->v, role, &f, b->asked, &c);
    if (!st && (force || kn_lookup_is_due(&c))) {
        if (strcmp(c.wanted, "Flat"))
            st = build_role(b, role, path, &f, &c);
        else if (f.ix || f.stale) {
            st = kn_unlink(path);
            b->changed = 1;
        }
    }
    kn_lookup_close(&f);
    kn_free(path);
    return st;
}

/* What a writer that was killed has left. */
static void sweep(const ken *k)
{
    DIR *d = opendir(k->dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        const size_t n = strlen(e->d_name);
        if (strncmp(e->d_name, "near-", 5) || n < 4 || strcmp(e->d_name + n - 4, ".tmp"))
            continue;
        char *path = kn_path_join(k->dir, e->d_name);
        if (path && kn_unlink(path))
            kn_log(KEN_LOG_WARN, "%s", ken_last_error());
        kn_free(path);
    }
    if (d)
        closedir(d);
}

static ken_status remember(kn_edit *w, const char *kind)
{
    kn_store *s = w->k->store;
    ken_status st = kn_edit_open(w);
    if (st)
        return st;
    st = s->v->set_text(s, KN_KEY_INDEX, kind);
    return kn_edit_close(w, st);
}

ken_status kn_lookup_update(kn_edit *w, const char *kind, int force, ken_progress_fn progress,
                            void *cookie)
{
    ken *k = w->k;
    builder b = { .w = w, .afresh = force };
    b.build = (kn_build){ .threads = k->models.threads,
                          .progress = progress,
                          .cookie = cookie };
    if (k->store->v->search)
        return kn_fail(KEN_E_UNSUPPORTED, "store %s has an index of its own", k->store->v->name);
    pthread_mutex_lock(&k->lock);
    ken_status st = kn_lookup_asked(k, b.asked);
    if (!st)
        st = kn_view_get_locked(k, &b.v);
    pthread_mutex_unlock(&k->lock);
    if (!st && kind) {
        st = kn_lookup_check_kind(kind, b.v->dim ? b.v->dim : 1);
        b.changed = !st && strcmp(kind, b.asked);
        if (!st)
            snprintf(b.asked, sizeof b.asked, "%s", kind);
    }
    if (!st)
        sweep(k);
    for (kn_role role = 0; !st && role < KN_ROLES; role++)
        st = update_role(&b, role, force);
    if (b.changed) {
        ken_status end = remember(w, b.asked); /* also if a role is canceled: others may be new */
        st = st ? st : end;
    }
    if (b.v)
        kn_view_release(k, b.v);
    return st;
}

/* ---- checking ---- */

typedef struct checker {
    ken_problem_fn fn;
    void *cookie;
    const char *name;
    int bad;
} checker;

static void complain(const char *where, const char *what, void *cookie)
{
    checker *c = cookie;
    char full[96];
    snprintf(full, sizeof full, "%s: %s", c->name, where);
    c->bad = 1;
    if (c->fn)
        c->fn(full, what, c->cookie);
}

/* Whatever is covered and lives is in the index, once. */
static ken_status check_covered(const kn_view *v, const kn_lookup_file *f, checker *c)
{
    const kn_rows *r = kn_index_rows(f->ix);
    size_t *first = kn_alloc(v->n + 1, sizeof *first), all = 0, segment;
    uint32_t slot;
    for (size_t i = 0; first && i < v->n; i++) {
        first[i] = all;
        all += v->segments[i].rows;
    }
    unsigned char *seen = first ? kn_zalloc(all + 1, 1) : NULL;
    for (size_t i = 0; seen && i < r->n; i++)
        if (kn_place_find(v, r->ids[i], &segment, &slot)) {
            if (slot >= f->covered[segment] || seen[first[segment] + slot])
                complain("ids", "a place comes twice, or is not covered", c);
            seen[first[segment] + slot] = 1;
        }
    for (size_t i = 0; seen && i < v->n; i++)
        for (uint32_t s = 0; s < f->covered[i]; s++)
            if (!seen[first[i] + s] && !is_dead(v, i, s)) {
                complain("ids", "a vector is neither in the index nor told to be missing", c);
                break;
            }
    kn_free(first);
    kn_free(seen);
    return first && seen ? KEN_OK : KEN_E_NOMEM;
}

static ken_status check_role(ken *k, kn_view *v, kn_role role, ken_problem_fn fn, void *cookie, int *bad)
{
    kn_lookup_file f = { 0 };
    char *path = kn_lookup_path(k, role);
    checker c = { fn, cookie, path ? strrchr(path, '/') + 1 : "", 0 };
    ken_status st = path ? kn_lookup_open(k, v, role, &f) : KEN_E_NOMEM;
    if (!st && f.stale == 1)
        complain("file", ken_last_error(), &c);
    if (!st && f.ix) {
        st = kn_index_check(f.ix, complain, &c);
        if (!st || st == KEN_E_CORRUPT)
            st = check_covered(v, &f, &c);
    }
    *bad |= c.bad;
    kn_lookup_close(&f);
    kn_free(path);
    return st;
}

ken_status kn_lookup_check(ken *k, ken_problem_fn fn, void *cookie)
{
    kn_view *v = NULL;
    int bad = 0;
    if (k->store->v->search)
        return KEN_OK;
    ken_status st = kn_view_get(k, &v);
    for (kn_role role = 0; !st && role < KN_ROLES; role++)
        st = check_role(k, v, role, fn, cookie, &bad);
    if (v)
        kn_view_release(k, v);
    return st ? st : bad ? kn_fail(KEN_E_CORRUPT, "the search index is damaged") : KEN_OK;
}

/* ---- the call ---- */

ken_status ken_build(ken *k, const ken_build_options *opts)
{
    static const ken_build_options defaults = KEN_BUILD_OPTIONS_INIT;
    const ken_build_options *o = opts ? opts : &defaults;
    kn_edit w = { 0 };
    ken_status st = kn_enter(k);
    if (st)
        return st;
    if (o->size != sizeof *o)
        st = kn_fail(KEN_E_INVALID, "ken_build_options: size is not set");
    if (!st && o->kind)
        st = kn_lookup_check_kind(o->kind, 1);
    if (!st)
        st = kn_edit_begin(&w, k);
    if (!st)
        st = kn_lookup_update(&w, o->kind, !o->if_needed, o->progress, o->cookie);
    kn_edit_end(&w);
    kn_leave(k);
    return st;
}
