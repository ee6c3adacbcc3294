/* archive.c - see archive.h. */
#include "image/archive.h"

#include "base/alloc.h"
#include "image/image.h"

#include <string.h>

/* Bytes of name up to its last '/', 0 if it has none. */
static size_t folder_len(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? (size_t)(slash - name) : 0;
}

static int is_picture(const kn_zip_entry *e)
{
    const size_t len = strlen(e->name);
    return len && e->name[len - 1] != '/' && kn_image_name(e->name);
}

/* Bytes of the first folder and its '/', if every picture lies in it and none directly. */
static size_t common_len(const kn_zip *z)
{
    const char *first = NULL;
    size_t n = 0;
    for (size_t i = 0; i < z->len; i++) {
        const char *name = z->list[i].name;
        if (!is_picture(&z->list[i]))
            continue;
        if (!first) {
            first = name;
            n = strcspn(name, "/") + 1;
        }
        if (strncmp(name, first, n) || folder_len(name) < n)
            return 0;
    }
    return first ? n : 0;
}

ken_status kn_archive_open(kn_archive *out, const char *path)
{
    kn_archive a = { 0 };
    size_t bytes = 0;
    ken_status st = kn_zip_open(&a.zip, path);
    if (st)
        return st;
    for (size_t i = 0; i < a.zip.len; i++)
        bytes += folder_len(a.zip.list[i].name) + 1;
    a.list = kn_alloc(a.zip.len, sizeof *a.list);
    a.labels = kn_alloc(bytes, 1);
    if (!a.list || !a.labels) {
        kn_archive_close(&a);
        return KEN_E_NOMEM;
    }
    const size_t skip = common_len(&a.zip);
    char *to = a.labels;
    for (size_t i = 0; i < a.zip.len; i++) {
        const kn_zip_entry *e = &a.zip.list[i];
        const size_t len = folder_len(e->name);
        if (!is_picture(e) || len <= skip)
            continue;
        a.list[a.n++] = (kn_archive_picture){ e, to };
        memcpy(to, e->name + skip, len - skip);
        to[len - skip] = 0;
        to += len - skip + 1;
    }
    *out = a;
    return KEN_OK;
}

void kn_archive_close(kn_archive *a)
{
    kn_free(a->list);
    kn_free(a->labels);
    kn_zip_close(&a->zip);
    *a = (kn_archive){ 0 };
}
