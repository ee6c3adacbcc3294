/* scan.c - ken_scan: the order of its parts, and what they share. */
#include "engine/scan.h"

#include "base/alloc.h"
#include "base/error.h"
#include "engine/described.h"
#include "engine/lookup.h"
#include "engine/object_add.h"
#include "engine/remote.h"
#include "engine/spaces.h"
#include "engine/verify.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

void kn_scan_problem(const kn_scan *s, const char *path, const char *why, int skipped)
{
    if (skipped)
        s->r->skipped++;
    else
        s->r->failed++;
    if (s->o->problem)
        s->o->problem(path, why, skipped, s->o->cookie);
}

/* Ids come in runs, but a run may begin anywhere below 2^63: a word for each 64 that are met. */
ken_status kn_scan_see(kn_scan *s, uint64_t id)
{
    size_t at;
    if (!kn_idmap_get(&s->seen_at, id / 64, &at)) {
        uint64_t *seen = kn_room(s->seen, s->seen_n, &s->seen_cap, sizeof *seen);
        if (!seen)
            return KEN_E_NOMEM;
        s->seen = seen;
        ken_status st = kn_idmap_reserve(&s->seen_at, 1);
        if (st)
            return st;
        at = s->seen_n++;
        seen[at] = 0;
        kn_idmap_put(&s->seen_at, id / 64, at);
    }
    s->seen[at] |= UINT64_C(1) << id % 64;
    return KEN_OK;
}

int kn_scan_saw(const kn_scan *s, uint64_t id)
{
    size_t at;
    return kn_idmap_get(&s->seen_at, id / 64, &at) && (s->seen[at] >> id % 64 & 1);
}

int kn_file_is_gone(const char *path)
{
    struct stat info;
    return lstat(path, &info) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

int kn_folder_name(char *out, size_t size, const char *path)
{
    const char *end = strrchr(path, '/'), *start = end;
    while (start && start > path && start[-1] != '/')
        start--;
    const size_t n = start ? (size_t)(end - start) : 0;
    if (!n || n >= size)
        return 0;
    memcpy(out, start, n);
    out[n] = 0;
    return 1;
}

/* ---- the call ---- */

/* What an older or smaller build could not read, this one may: skipped files are tried again when
 * the features have changed. */
static ken_status compare_features(kn_scan *s)
{
    char *text = NULL;
    pthread_mutex_lock(&s->k->lock);
    ken_status st = s->k->store->v->text(s->k->store, KN_KEY_FEATURES, &text);
    pthread_mutex_unlock(&s->k->lock);
    s->retry_skipped = !text || strcmp(text, ken_features());
    kn_free(text);
    return st;
}

static ken_status note_features(kn_scan *s)
{
    if (!s->retry_skipped)
        return KEN_OK;
    ken_status st = kn_edit_open(&s->w);
    if (st)
        return st;
    st = s->k->store->v->set_text(s->k->store, KN_KEY_FEATURES, ken_features());
    return kn_edit_close(&s->w, st);
}

static ken_status use_model(kn_scan *s)
{
    ken_status st = s->o->reembed ? kn_collection_new_model(s->k, &s->model)
                                  : kn_collection_model(s->k, &s->model);
    if (st)
        return st;
    s->info = s->k->encoder->info(s->model);
    s->prep = s->k->encoder->prep(s->model);
    s->w.model = s->model;
    return s->prep ? KEN_OK : kn_fail(KEN_E_MODEL, "model %s has no image network", s->info->name);
}

static void forget_files(kn_scan *s)
{
    for (size_t i = 0; i < s->files_n; i++)
        kn_free(s->files[i].path);
    for (size_t i = 0; i < s->roots_n; i++)
        kn_free(s->roots[i]);
    kn_free(s->files);
    kn_free(s->roots);
    s->files = NULL;
    s->roots = NULL;
    s->files_n = s->files_cap = s->roots_n = 0;
}

/* A server that died and came back may have lost what it had acknowledged: those files once more. */
static ken_status recover(kn_scan *s, const char *const *paths, size_t n)
{
    const ken_scan_report before = *s->r;
    kn_store *store = s->k->store;
    uint64_t lost = 0;
    if (!store->v->refresh || !s->encoded)
        return KEN_OK;
    pthread_mutex_lock(&s->k->lock);
    ken_status st = store->v->refresh(store, &lost);
    pthread_mutex_unlock(&s->k->lock);
    if (st || !lost)
        return st;
    forget_files(s);
    st = kn_scan_walk(s, paths, n);
    if (!st)
        st = kn_scan_files(s);
    *s->r = before; /* they have been counted */
    return st;
}

static ken_status run(kn_scan *s, const char *const *paths, size_t n)
{
    ken_status st = use_model(s);
    if (!st && s->o->reembed && s->k->store->v->keep)
        st = kn_fail(KEN_E_UNSUPPORTED, "a remote store is not re-embedded in place: `ken index` with "
                                        "another --db and --store makes a collection with that model");
    if (!st && s->o->index)
        st = kn_lookup_check_kind(s->o->index, s->info->dim);
    if (!st)
        st = compare_features(s);
    if (!st)
        st = s->o->reembed ? kn_scan_reembed(s) : kn_scan_abandon(s);
    if (!st)
        st = kn_scan_walk(s, paths, n);
    if (!st)
        st = kn_scan_files(s);
    if (!st)
        st = recover(s, paths, n);
    if (!st)
        st = kn_object_mend(&s->w);
    if (!st)
        st = kn_scan_models(s);
    if (!st)
        st = kn_scan_vanished(s);
    if (!st)
        st = kn_scan_compact(s);
    if (!st && (s->r->removed || s->r->updated))
        st = kn_verify_sweep(s->k);
    if (!st)
        st = note_features(s);
    if (!st && s->o->reembed)
        st = kn_described_sync(&s->w);
    if (!st && (s->r->added || s->r->updated || s->r->removed))
        st = kn_remote_settle(s->k);
    if (st || (s->k->store->v->search && !s->o->index)) /* that one minds its index itself */
        return st;
    return kn_lookup_update(&s->w, s->o->index, 0, s->o->progress, s->o->cookie);
}

static void release(kn_scan *s)
{
    forget_files(s);
    kn_free(s->seen);
    kn_idmap_release(&s->seen_at);
    kn_ignore_release(&s->ignore);
}

static ken_status scan(ken *k, const char *const *paths, size_t n, const ken_scan_options *o,
                       ken_scan_report *report)
{
    const double start = kn_clock();
    ken_scan_report r = { 0 };
    kn_scan s = { .k = k, .o = o, .r = &r };
    s.threads = k->models.threads;
    ken_status st = kn_edit_begin(&s.w, k);
    if (!st)
        st = run(&s, paths, n);
    kn_edit_end(&s.w);
    r.seconds = kn_clock() - start;
    r.images_per_second = r.seconds > 0 ? (double)s.encoded / r.seconds : 0;
    if (!st || st == KEN_E_CANCELED)
        *report = r;
    release(&s);
    return st;
}

ken_status ken_scan(ken *k, const char *const *paths, size_t n, const ken_scan_options *opts,
                    ken_scan_report *report)
{
    static const ken_scan_options defaults = KEN_SCAN_OPTIONS_INIT;
    const ken_scan_options *o = opts ? opts : &defaults;
    ken_status st = kn_enter(k);
    if (st)
        return st;
    if (o->size != sizeof *o)
        st = kn_fail(KEN_E_INVALID, "ken_scan_options: size is not set");
    else if ((n && !paths) || !report)
        st = kn_fail(KEN_E_INVALID, "ken_scan: no paths, or no place for the report");
    else
        st = scan(k, paths, n, o, report);
    if (!st)
        st = kn_spaces_scan(k, paths, n, o);
    kn_leave(k);
    return st;
}
