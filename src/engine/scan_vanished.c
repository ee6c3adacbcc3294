/*
 * scan_vanished.c - items whose file is gone.
 *
 * A disk that is not plugged in must erase nothing.  So an item is deleted only if the nearest
 * folder above its file that still exists lies on the file's own mount and can be read; else it is
 * hidden until its file comes back.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "engine/scan.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

enum { COMMIT_EVERY = 512 };

typedef struct gone {
    uint64_t id, device;
    char *path;
    int hidden, ignored;
} gone;

typedef struct collector {
    kn_scan *s;
    const char *root; /* whose items are looked at; NULL: all */
    gone *list;
    size_t n, cap;
    ken_status st;
} collector;

/* What was taken once, and rules speak against by now: it is hidden until they don't. */
static int is_ignored(collector *c, const char *path)
{
    int yes = 0;
    for (size_t i = 0; !c->s->o->no_ignore && !yes && i < c->s->roots_n; i++) {
        const char *root = c->root ? c->root : c->s->roots[i];
        const size_t n = strcmp(root, "/") ? strlen(root) : 0;
        if (!strncmp(path, root, n) && path[n] == '/' && kn_ignored_below(&c->s->ignore, root, path, &yes))
            return 0; /* told by the walk */
        if (c->root)
            break;
    }
    return yes;
}

static int collect(const kn_item *item, void *cookie)
{
    collector *c = cookie;
    if (kn_scan_saw(c->s, item->id))
        return 0;
    const int is_gone = kn_file_is_gone(item->path), shown = !item->hidden && strcmp(item->kind, "reference");
    if (!is_gone && !(shown && is_ignored(c, item->path)))
        return 0;
    gone *list = kn_room(c->list, c->n, &c->cap, sizeof *list);
    char *path = list ? kn_strdup(item->path) : NULL;
    if (list)
        c->list = list;
    if (!path) {
        c->st = KEN_E_NOMEM;
        return 1;
    }
    list[c->n++] = (gone){ item->id, item->device, path, item->hidden, !is_gone };
    return 0;
}

/* path is shortened while looking. */
static int folder_can_be_read(char *path, uint64_t device)
{
    struct stat info;
    for (char *slash; (slash = strrchr(path, '/')) != NULL;) {
        slash[slash == path] = 0; /* "/" is a folder too */
        if (stat(path, &info) == 0) {
            DIR *d = info.st_dev == device ? opendir(path) : NULL;
            if (d)
                closedir(d);
            return d != NULL;
        }
        if (slash == path)
            break;
    }
    return 0;
}

static ken_status forget_one(kn_scan *s, gone *g, uint64_t *removed)
{
    const kn_select which = { .by = KN_BY_ID, .number = g->id };
    kn_item item = { 0 };
    if (!g->ignored && folder_can_be_read(g->path, g->device)) {
        ++*removed;
        return kn_store_drop(s->k->store, g->id);
    }
    if (g->hidden)
        return KEN_OK;
    ++*removed;
    ken_status st = kn_store_get(s->k->store, &which, &item);
    item.hidden = 1;
    if (!st)
        st = kn_store_put(s->k->store, &item);
    kn_item_release(&item);
    return st;
}

static ken_status forget(kn_scan *s, gone *list, size_t n)
{
    uint64_t removed = 0;
    ken_status st = kn_edit_open(&s->w);
    if (st)
        return st;
    for (size_t i = 0; !st && i < n; i++)
        st = forget_one(s, &list[i], &removed);
    st = kn_edit_close(&s->w, st);
    if (!st)
        s->r->removed += removed;
    return st;
}

static ken_status collect_all(kn_scan *s, collector *c)
{
    kn_store *store = s->k->store;
    const kn_select all = { .by = KN_AFTER };
    ken_status st = KEN_OK;
    pthread_mutex_lock(&s->k->lock);
    if (s->o->prune)
        st = store->v->items(store, &all, collect, c);
    for (size_t i = 0; !s->o->prune && !st && !c->st && i < s->roots_n; i++) {
        const kn_select under = { .by = KN_UNDER, .text = s->roots[i] };
        c->root = s->roots[i];
        st = store->v->items(store, &under, collect, c);
    }
    pthread_mutex_unlock(&s->k->lock);
    return st ? st : c->st;
}

ken_status kn_scan_vanished(kn_scan *s)
{
    collector c = { .s = s };
    ken_status st = collect_all(s, &c);
    for (size_t i = 0; !st && i < c.n; i += COMMIT_EVERY) {
        st = kn_check_interrupt();
        if (!st)
            st = forget(s, c.list + i, c.n - i < COMMIT_EVERY ? c.n - i : COMMIT_EVERY);
    }
    for (size_t i = 0; i < c.n; i++)
        kn_free(c.list[i].path);
    kn_free(c.list);
    return st;
}
