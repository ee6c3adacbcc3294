/* pictures.c - see pictures.h; and the list of a zip's pictures with their labels. */
#include "engine/pictures.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "image/archive.h"

#include <string.h>

static const size_t MAX_FILE = (size_t)1 << 30;
static const char END[] = ".zip/";

typedef struct kn_opened {
    struct kn_opened *next;
    char *path;
    kn_zip zip;
} kn_opened;

void kn_pictures_init(kn_pictures *p)
{
    *p = (kn_pictures){ 0 };
    pthread_mutex_init(&p->lock, NULL);
}

static void free_opened(kn_opened *o)
{
    kn_zip_close(&o->zip);
    kn_free(o->path);
    kn_free(o);
}

void kn_pictures_release(kn_pictures *p)
{
    for (kn_opened *o = p->zips, *next; o; o = next) {
        next = o->next;
        free_opened(o);
    }
    pthread_mutex_destroy(&p->lock);
}

/* The archive of the first n bytes of path. */
static ken_status open_zip(kn_pictures *p, const char *path, size_t n, const kn_zip **out)
{
    ken_status st = KEN_OK;
    pthread_mutex_lock(&p->lock);
    kn_opened *o = p->zips;
    while (o && (strncmp(o->path, path, n) || o->path[n]))
        o = o->next;
    if (!o) {
        o = kn_zalloc(1, sizeof *o);
        st = o && (o->path = kn_strndup(path, n)) ? kn_zip_open(&o->zip, o->path) : KEN_E_NOMEM;
        if (st && o)
            free_opened(o);
        if (!st) {
            o->next = p->zips;
            p->zips = o;
        }
    }
    pthread_mutex_unlock(&p->lock);
    if (!st)
        *out = &o->zip;
    return st;
}

ken_status kn_pictures_read(kn_pictures *p, const char *path, unsigned char **bytes, size_t *len)
{
    const char *zip = strstr(path, END);
    const kn_zip *z = NULL;
    ken_status st = kn_read_file(bytes, len, path, MAX_FILE);
    if (!st || !zip || st == KEN_E_NOMEM)
        return st;
    const size_t n = (size_t)(zip - path) + strlen(END) - 1;
    st = open_zip(p, path, n, &z);
    if (st)
        return st;
    const kn_zip_entry *e = kn_zip_find(z, path + n + 1);
    if (!e || e->size > MAX_FILE)
        return kn_fail(KEN_E_NOTFOUND, "%.*s: no picture %s", (int)n, path, path + n + 1);
    *len = (size_t)e->size;
    return kn_zip_read(e, bytes);
}

ken_status ken_archive_each(const char *path, ken_archive_fn fn, void *cookie)
{
    kn_archive a = { 0 };
    if (!path || !fn)
        return kn_fail(KEN_E_INVALID, "ken_archive_each: no path, or no function");
    ken_status st = kn_archive_open(&a, path);
    for (size_t i = 0, stop = 0; !st && !stop && i < a.n; i++) {
        char *full = kn_path_join(path, a.list[i].entry->name);
        if (!full)
            st = KEN_E_NOMEM;
        else
            stop = fn(full, a.list[i].label, cookie) != 0;
        kn_free(full);
    }
    kn_archive_close(&a);
    return st;
}
