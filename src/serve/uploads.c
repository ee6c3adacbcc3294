/* uploads.c - a folder beside the collection. */
#include "serve/uploads.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

ken_status kn_upload_keep(const ken_server *s, const ken_image *img, char **path, int *fresh)
{
    void *bytes = NULL;
    size_t n;
    char hash[33], name[40];
    if (!s->uploads)
        return kn_fail(KEN_E_UNSUPPORTED, "this server keeps no pictures");
    ken_status st = ken_image_encode(img, 0, &bytes, &n);
    if (st)
        return st;
    kn_hash128_hex(hash, bytes, n);
    snprintf(name, sizeof name, "%s.png", hash);
    char *file = kn_path_join(s->uploads, name);
    st = file ? kn_mkdirs(s->uploads) : KEN_E_NOMEM;
    if (!st) {
        *fresh = access(file, F_OK) != 0;
        if (*fresh)
            st = kn_replace_file(file, bytes, n);
    }
    ken_bytes_free(bytes);
    if (st) {
        kn_free(file);
        return kn_fail_in(st, "keep a picture");
    }
    *path = file;
    return KEN_OK;
}

int kn_upload_is(const ken_server *s, const char *path)
{
    const size_t n = s->uploads ? strlen(s->uploads) : 0;
    return n && !strncmp(path, s->uploads, n) && path[n] == '/' && !strchr(path + n + 1, '/');
}

void kn_upload_drop(const ken_server *s, const char *path)
{
    if (kn_upload_is(s, path) && kn_unlink(path))
        kn_log(KEN_LOG_WARN, "%s: %s", path, ken_last_error());
}
