/* spaces.c - see spaces.h: finding, opening, and what goes for the main collection and for them. */
#include "engine/spaces.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LONGEST = 64 };

typedef struct opened {
    char *name;
    ken *k;
} opened;

typedef struct kn_spaces kn_spaces;
struct kn_spaces {
    opened *list; /* (n) those that were asked for */
    size_t n, cap;
};

/* ---- names ---- */

static int is_name(const char *s)
{
    static const char *const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const size_t len = strlen(s);
    return len && len <= LONGEST && *s != '.' && *s != '-' && strspn(s, letters) == len
           && strcmp(s, KN_OWN) != 0;
}

ken_status kn_space_dir(char **out, const char *db, const char *name)
{
    struct stat s;
    if (!is_name(name))
        return kn_fail(KEN_E_INVALID, "space \"%.80s\": expects 1 to %d of a-z A-Z 0-9 . _ -, and not \"%s\"",
                       name, LONGEST, KN_OWN);
    if (stat(db, &s) || !S_ISDIR(s.st_mode))
        return kn_fail(KEN_E_NOTFOUND, "%s: no collection there that could have spaces", db);
    char *folder = kn_path_join(db, KN_SPACES);
    *out = folder ? kn_path_join(folder, name) : NULL;
    kn_free(folder);
    return *out ? KEN_OK : KEN_E_NOMEM;
}

typedef struct names {
    char **list;
    size_t n, cap;
} names;

static void release(names *l)
{
    for (size_t i = 0; i < l->n; i++)
        kn_free(l->list[i]);
    kn_free(l->list);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static ken_status add_name(names *l, const char *name)
{
    char **more = kn_room(l->list, l->n, &l->cap, sizeof *more);
    if (!more)
        return KEN_E_NOMEM;
    l->list = more;
    l->list[l->n] = kn_strdup(name);
    return l->list[l->n] && ++l->n ? KEN_OK : KEN_E_NOMEM;
}

static int is_folder(DIR *in, const char *name)
{
    struct stat s;
    return !fstatat(dirfd(in), name, &s, 0) && S_ISDIR(s.st_mode);
}

/* All folders that could be one, sorted; release them. */
static ken_status find_names(const ken *k, names *l)
{
    char *folder = kn_path_join(k->dir, KN_SPACES);
    DIR *d = folder ? opendir(folder) : NULL;
    ken_status st = folder ? KEN_OK : KEN_E_NOMEM;
    if (!st && !d && errno != ENOENT && errno != ENOTDIR)
        st = kn_fail_in(kn_fail_errno(errno), "%s", folder);
    for (struct dirent *e; !st && d && (e = readdir(d));)
        if (is_name(e->d_name) && is_folder(d, e->d_name))
            st = add_name(l, e->d_name);
    if (d)
        closedir(d);
    kn_free(folder);
    if (l->n)
        qsort(l->list, l->n, sizeof *l->list, by_text);
    return st;
}

/* ---- opening ---- */

static ken_status open_one(ken *k, const char *name, ken **out)
{
    char *dir = NULL;
    ken_options o = KEN_OPTIONS_INIT;
    o.models = k->models;
    o.models.precision = NULL; /* its own */
    o.read_only = k->read_only;
    o.wait = k->wait > 0 ? k->wait : -1;
    o.decode = k->decode;
    o.cache = k->cache_dir;
    o.cache_bytes = k->cache_bytes;
    ken_status st = kn_space_dir(&dir, k->dir, name);
    if (!st)
        st = kn_collection_open(out, dir, &o, k->encoder);
    if (st == KEN_E_NOTFOUND)
        st = kn_fail(st, "there is no space %s; `ken index --space %s --model M` makes one", name, name);
    kn_free(dir);
    return st;
}

static ken_status open_locked(ken *k, const char *name, ken **out)
{
    if (!k->spaces && !(k->spaces = kn_zalloc(1, sizeof *k->spaces)))
        return KEN_E_NOMEM;
    kn_spaces *s = k->spaces;
    for (size_t i = 0; i < s->n; i++)
        if (!strcmp(s->list[i].name, name)) {
            *out = s->list[i].k;
            return KEN_OK;
        }
    opened one = { kn_strdup(name), NULL }, *more = kn_room(s->list, s->n, &s->cap, sizeof *more);
    s->list = more ? more : s->list;
    ken_status st = more && one.name ? open_one(k, name, &one.k) : KEN_E_NOMEM;
    if (st) {
        kn_free(one.name);
        return st;
    }
    s->list[s->n++] = one;
    *out = one.k;
    return KEN_OK;
}

ken_status kn_space_open(ken *k, const char *name, ken **out)
{
    pthread_mutex_lock(&k->spaces_lock);
    ken_status st = open_locked(k, name, out);
    pthread_mutex_unlock(&k->spaces_lock);
    return st;
}

void kn_spaces_close(kn_spaces *s)
{
    for (size_t i = 0; s && i < s->n; i++) {
        ken_close(s->list[i].k);
        kn_free(s->list[i].name);
    }
    if (s)
        kn_free(s->list);
    kn_free(s);
}

/* ---- all of them ---- */

typedef ken_status (*each_fn)(ken *k, ken *space, const char *name, void *cookie);

/* A folder whose making was broken off is no space yet: it keeps nobody from the others. */
static ken_status each(ken *k, each_fn fn, void *cookie)
{
    names l = { 0 };
    ken *space = NULL;
    ken_status st = find_names(k, &l);
    for (size_t i = 0; !st && i < l.n; i++) {
        st = kn_space_open(k, l.list[i], &space);
        if (st == KEN_E_NOTFOUND) {
            kn_log(KEN_LOG_WARN, "%s/" KN_SPACES "/%s is passed over, it was never finished: "
                   "`ken index --space %s --model M` makes it a space", k->dir, l.list[i], l.list[i]);
            st = KEN_OK;
            continue;
        }
        if (!st)
            st = fn(k, space, l.list[i], cookie);
        if (st && st != KEN_E_CANCELED)
            st = kn_fail_in(st, "space %s", l.list[i]);
    }
    release(&l);
    return st;
}

typedef struct scan_job {
    const char *const *paths;
    size_t n;
    ken_scan_options o;
} scan_job;

static ken_status scan_one(ken *k, ken *space, const char *name, void *cookie)
{
    const scan_job *j = cookie;
    ken_scan_report r;
    (void)k;
    (void)name;
    return ken_scan(space, j->paths, j->n, &j->o, &r);
}

ken_status kn_spaces_scan(ken *k, const char *const *paths, size_t n, const ken_scan_options *o)
{
    scan_job j = { paths, n, KEN_SCAN_OPTIONS_INIT }; /* what fails has been told and counted */
    j.o.prune = o->prune;
    j.o.progress = o->progress;
    j.o.cookie = o->cookie;
    return each(k, scan_one, &j);
}

typedef struct removal {
    const uint64_t *ids;
    size_t n;
} removal;

static ken_status remove_from(ken *k, ken *space, const char *name, void *cookie)
{
    const removal *j = cookie;
    size_t m = 0;
    uint64_t *theirs = kn_alloc(j->n, sizeof *theirs);
    ken_status st = theirs ? KEN_OK : KEN_E_NOMEM;
    (void)name;
    for (size_t i = 0; !st && i < j->n; i++) {
        ken_record *r = NULL;
        st = ken_get(k, j->ids[i], &r);
        if (!st) {
            st = ken_find(space, r->path, &theirs[m]);
            m += !st;
            st = st == KEN_E_NOTFOUND ? KEN_OK : st; /* the space does not have it */
        }
        ken_record_free(r);
    }
    if (!st && m)
        st = ken_remove(space, theirs, m);
    kn_free(theirs);
    return st;
}

ken_status kn_spaces_remove(ken *k, const uint64_t *ids, size_t n)
{
    removal j = { ids, n };
    return n ? each(k, remove_from, &j) : KEN_OK;
}

typedef struct check_job {
    ken_problem_fn fn;
    void *cookie;
    const char *name;
} check_job;

static void tell_problem(const char *where, const char *what, void *cookie)
{
    const check_job *j = cookie;
    char place[256];
    snprintf(place, sizeof place, "space %s: %s", j->name, where);
    if (j->fn)
        j->fn(place, what, j->cookie);
}

static ken_status check_one(ken *k, ken *space, const char *name, void *cookie)
{
    check_job *j = cookie;
    (void)k;
    j->name = name;
    return ken_check(space, tell_problem, j);
}

ken_status kn_spaces_check(ken *k, ken_problem_fn fn, void *cookie)
{
    check_job j = { fn, cookie, NULL };
    return each(k, check_one, &j);
}

typedef struct tell_job {
    ken_space_fn fn;
    void *cookie;
} tell_job;

static ken_status tell_one(ken *k, ken *space, const char *name, void *cookie)
{
    const tell_job *j = cookie;
    ken_stats s;
    (void)k;
    ken_status st = ken_get_stats(space, &s);
    if (!st && j->fn(name, &s, j->cookie))
        st = kn_fail(KEN_E_CANCELED, "stopped");
    return st;
}

ken_status ken_spaces(ken *k, ken_space_fn fn, void *cookie)
{
    tell_job j = { fn, cookie };
    ken_status st = kn_enter(k);
    if (st)
        return st;
    st = fn ? each(k, tell_one, &j) : kn_fail(KEN_E_INVALID, "ken_spaces: no function");
    kn_leave(k);
    return st;
}
