/* walk.c - every file below a folder, in a fixed order. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 256 };

typedef struct walk {
    kn_walk_fn fn;
    void *cookie;
} walk;

typedef struct names {
    char **list;
    size_t len, cap;
} names;

static void names_release(names *n)
{
    for (size_t i = 0; i < n->len; i++)
        kn_free(n->list[i]);
    kn_free(n->list);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in dir, sorted.  *err: why it could not be read. */
static ken_status read_names(names *n, const char *dir, int *err)
{
    DIR *d = opendir(dir);
    if (!d) {
        *err = errno;
        return KEN_OK;
    }
    ken_status st = KEN_OK;
    for (struct dirent *e; !st && (errno = 0, e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        char **list = kn_room(n->list, n->len, &n->cap, sizeof *list);
        char *name = list ? kn_strdup(e->d_name) : NULL;
        if (list)
            n->list = list;
        if (name)
            n->list[n->len++] = name;
        else
            st = KEN_E_NOMEM;
    }
    if (!st)
        *err = errno;
    closedir(d);
    if (n->len)
        qsort(n->list, n->len, sizeof *n->list, by_bytes);
    return st;
}

static ken_status walk_path(const walk *w, const char *path, int depth, int follow);

static ken_status walk_dir(const walk *w, const char *dir, int depth)
{
    names n = { 0 };
    int err = depth < MAX_DEPTH ? 0 : ELOOP;
    ken_status st = err ? KEN_OK : read_names(&n, dir, &err);
    if (!st && err) {
        kn_walk_entry e = { .path = dir, .err = err, .is_dir = 1 };
        if (w->fn(&e, w->cookie) < 0)
            st = kn_fail(KEN_E_CANCELED, "stopped");
    }
    for (size_t i = 0; !st && i < n.len; i++) {
        char *path = kn_path_join(dir, n.list[i]);
        st = path ? walk_path(w, path, depth + 1, 0) : KEN_E_NOMEM;
        kn_free(path);
    }
    names_release(&n);
    return st;
}

/* follow: a link to a folder is walked too (the root). */
static ken_status walk_path(const walk *w, const char *path, int depth, int follow)
{
    struct stat info;
    kn_walk_entry e = { .path = path, .info = &info };
    int bad = lstat(path, &info);
    if (!bad && S_ISLNK(info.st_mode)) {
        bad = stat(path, &info);
        if (!bad && S_ISDIR(info.st_mode) && !follow)
            return KEN_OK;
    }
    if (bad)
        e = (kn_walk_entry){ .path = path, .err = errno };
    else
        e.is_dir = S_ISDIR(info.st_mode);
    int answer = w->fn(&e, w->cookie);
    if (answer < 0)
        return kn_fail(KEN_E_CANCELED, "stopped");
    return e.is_dir && answer == 0 ? walk_dir(w, path, depth) : KEN_OK;
}

ken_status kn_walk(const char *root, kn_walk_fn fn, void *cookie)
{
    struct stat info;
    walk w = { fn, cookie };
    if (stat(root, &info) != 0)
        return kn_fail_errno(errno);
    return walk_path(&w, root, 0, 1);
}
