/*
 * scan_walk.c - what has changed, by looking at names and stat(2) alone.
 *
 * A file is unchanged if its path is known with the same size, time and inode.  A new path with an
 * inode, size and time of an item whose own path is gone is that item, renamed.  All else is to be
 * read: its content decides.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "engine/scan.h"
#include "image/image.h"
#include "mesh/mesh.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- roots ---- */

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int lies_below(const char *path, const char *dir)
{
    const size_t n = strlen(dir);
    if (!strcmp(dir, "/"))
        return 1;
    return !strncmp(path, dir, n) && (!path[n] || path[n] == '/');
}

static int is_named(const char *path)
{
    return kn_image_name(path) || kn_mesh_kind(path);
}

/* A named file whose name is not a picture's is read all the same, so it stays beside its folder. */
static int is_covered(const char *path, const char *by)
{
    struct stat info;
    if (!lies_below(path, by))
        return 0;
    return !strcmp(path, by) || is_named(path) || stat(path, &info) != 0
           || S_ISDIR(info.st_mode);
}

static ken_status take_roots(kn_scan *s, const char *const *paths, size_t n)
{
    ken_status st = KEN_OK;
    s->roots = kn_alloc(n, sizeof *s->roots);
    if (!s->roots)
        return KEN_E_NOMEM;
    for (size_t i = 0; !st && i < n; i++) {
        st = paths[i] ? kn_path_absolute(&s->roots[i], paths[i])
                      : kn_fail(KEN_E_INVALID, "path %zu is NULL", i);
        s->roots_n += !st;
    }
    if (st || n < 2)
        return st;
    qsort(s->roots, n, sizeof *s->roots, by_bytes);
    const char *cover = NULL;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (cover && is_covered(s->roots[i], cover)) {
            kn_free(s->roots[i]);
            continue;
        }
        if (!cover || !lies_below(s->roots[i], cover))
            cover = s->roots[i];
        s->roots[kept++] = s->roots[i];
    }
    s->roots_n = kept;
    return KEN_OK;
}

/* ---- one file ---- */

typedef struct walker {
    kn_scan *s;
    const char *root;
    ken_status st;
} walker;

/* What the store says of a path. */
typedef struct match {
    kn_item item;
    int found;
    ken_status st;
} match;

static int keep_match(const kn_item *item, void *cookie)
{
    match *m = cookie;
    m->found = 1;
    m->st = kn_item_copy(&m->item, item);
    return 1;
}

static ken_status lookup_path(kn_scan *s, const char *path, match *m)
{
    const kn_select which = { .by = KN_BY_PATH, .text = path };
    ken_status st = s->k->store->v->items(s->k->store, &which, keep_match, m);
    return st ? st : m->st;
}

typedef struct remembered {
    const kn_file *f;
    char why[256];
    int found, skipped;
} remembered;

static int keep_reject(const kn_reject *r, void *cookie)
{
    remembered *m = cookie;
    const size_t n = strnlen(r->why, sizeof m->why - 1);
    m->found = r->bytes == m->f->bytes && r->inode == m->f->inode && r->mtime_ns == m->f->mtime_ns;
    m->skipped = r->skipped;
    memcpy(m->why, r->why, n);
    m->why[n] = 0;
    return 1;
}

typedef struct mover {
    const kn_scan *s;
    const kn_file *f;
    uint64_t id;
} mover;

static int is_mover(const kn_item *item, void *cookie)
{
    mover *m = cookie;
    if (item->bytes != m->f->bytes || item->mtime_ns != m->f->mtime_ns || !item->segment
        || kn_scan_saw(m->s, item->id) || !kn_file_is_gone(item->path))
        return 0;
    m->id = item->id;
    return 1;
}

static ken_status add_file(kn_scan *s, kn_file *f, const char *path)
{
    kn_file *files = kn_room(s->files, s->files_n, &s->files_cap, sizeof *files);
    if (!files)
        return KEN_E_NOMEM;
    s->files = files;
    f->path = kn_strdup(path);
    if (!f->path)
        return KEN_E_NOMEM;
    files[s->files_n++] = *f;
    return KEN_OK;
}

static int wrong_object(const kn_scan *s, const kn_item *item)
{
    char name[256];
    if (!s->o->objects_from_dirs || !kn_folder_name(name, sizeof name, item->path))
        return 0;
    return !item->object || strcmp(item->object, name) != 0;
}

/* f is known as item. */
static ken_status compare(kn_scan *s, kn_file *f, const kn_item *item)
{
    const int same = item->bytes == f->bytes && item->mtime_ns == f->mtime_ns
                     && item->inode == f->inode && item->segment;
    ken_status st = kn_scan_see(s, item->id);
    f->id = item->id;
    if (st || !same)
        return st ? st : add_file(s, f, item->path);
    f->what = KN_FILE_TOUCH;
    if (item->hidden || item->device != f->device || wrong_object(s, item))
        return add_file(s, f, item->path);
    return KEN_OK;
}

/* f's path is not known. */
static ken_status recognise(kn_scan *s, kn_file *f, const char *path)
{
    const kn_select which = { .by = KN_BY_INODE, .number = f->inode };
    mover m = { s, f, 0 };
    ken_status st = s->k->store->v->items(s->k->store, &which, is_mover, &m);
    if (st)
        return st;
    if (m.id) {
        f->what = KN_FILE_MOVE;
        f->id = m.id;
        st = kn_scan_see(s, m.id);
    }
    return st ? st : add_file(s, f, path);
}

static ken_status decide(kn_scan *s, kn_file *f, const char *path)
{
    remembered r = { .f = f };
    match m = { 0 };
    pthread_mutex_lock(&s->k->lock);
    ken_status st = lookup_path(s, path, &m);
    const int same = m.found && m.item.bytes == f->bytes && m.item.mtime_ns == f->mtime_ns
                     && m.item.inode == f->inode;
    if (!st && !same)
        st = s->k->store->v->reject(s->k->store, path, keep_reject, &r);
    const int known_bad = r.found && !(r.skipped && s->retry_skipped);
    if (!st && known_bad && m.found)
        st = kn_scan_see(s, m.item.id);
    if (!st && !known_bad)
        st = m.found ? compare(s, f, &m.item) : recognise(s, f, path);
    pthread_mutex_unlock(&s->k->lock);
    if (!st && known_bad)
        kn_scan_problem(s, path, r.why, r.skipped);
    kn_item_release(&m.item);
    return st;
}

static ken_status meet_file(walker *w, const kn_walk_entry *e)
{
    kn_scan *s = w->s;
    const struct stat *info = e->info;
    kn_file f = { .bytes = (uint64_t)info->st_size,
                  .inode = info->st_ino,
                  .device = info->st_dev,
                  .mtime_ns = (int64_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec };
    ken_status st = kn_meter_tell(&s->meter, ++s->r->seen, e->path);
    if (st)
        return st;
    if (!S_ISREG(info->st_mode)) {
        kn_scan_problem(s, e->path, "not a regular file", 1);
        return KEN_OK;
    }
    if (!is_named(e->path) && strcmp(e->path, w->root)) {
        kn_scan_problem(s, e->path, "not a picture, by its name", 1);
        return KEN_OK;
    }
    return decide(s, &f, e->path);
}

/* Collections themselves are not walked. */
static int is_collection(const kn_scan *s, const char *path)
{
    return !strcmp(path, s->k->dir) || !strcmp(kn_path_name(path), ".ken");
}

/* By the rules of .kenignore; that some cannot be read is told, once, and they say nothing. */
static int is_ignored(walker *w, const kn_walk_entry *e)
{
    int yes = 0;
    if (w->s->o->no_ignore || !strcmp(e->path, w->root))
        return 0;
    const ken_status st = kn_ignored(&w->s->ignore, w->root, e->path, e->is_dir, &yes);
    if (st)
        kn_scan_problem(w->s, e->path, ken_last_error(), 0);
    return yes;
}

static int meet(const kn_walk_entry *e, void *cookie)
{
    walker *w = cookie;
    if (is_ignored(w, e))
        return e->is_dir;
    if (e->err) {
        if (!e->is_dir)
            w->s->r->seen++;
        kn_scan_problem(w->s, e->path, strerror(e->err), 0);
        return 0;
    }
    if (e->is_dir)
        return is_collection(w->s, e->path);
    w->st = meet_file(w, e);
    return w->st ? -1 : 0;
}

/* ---- all of them ---- */

static int note_any(const kn_item *item, void *cookie)
{
    (void)item;
    *(int *)cookie = 1;
    return 1;
}

/* A root that is gone is a failure unless its pictures are known: then they have vanished. */
static ken_status root_is_gone(kn_scan *s, const char *root)
{
    const kn_select which = { .by = KN_UNDER, .text = root, .limit = 1 };
    int known = 0;
    pthread_mutex_lock(&s->k->lock);
    ken_status st = s->k->store->v->items(s->k->store, &which, note_any, &known);
    pthread_mutex_unlock(&s->k->lock);
    if (!st && !known)
        kn_scan_problem(s, root, strerror(ENOENT), 0);
    return st;
}

ken_status kn_scan_walk(kn_scan *s, const char *const *paths, size_t n)
{
    ken_status st = take_roots(s, paths, n);
    kn_meter_start(&s->meter, "scan", "files", 0, s->o->progress, s->o->cookie);
    for (size_t i = 0; !st && i < s->roots_n; i++) {
        walker w = { s, s->roots[i], KEN_OK };
        st = kn_walk(s->roots[i], meet, &w);
        if (w.st)
            st = w.st;
        else if (st == KEN_E_NOTFOUND)
            st = root_is_gone(s, s->roots[i]);
        else if (st && st != KEN_E_NOMEM && st != KEN_E_CANCELED) {
            kn_scan_problem(s, s->roots[i], ken_last_error(), 0);
            st = KEN_OK;
        }
    }
    if (!st)
        kn_meter_end(&s->meter);
    return st;
}
