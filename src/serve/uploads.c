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

/* ---- the pictures of a request ---- */

void kn_sending_init(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t a;
    pthread_rwlockattr_init(&a);
    pthread_rwlockattr_setkind_np(&a, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(lock, &a);
    pthread_rwlockattr_destroy(&a);
}

/* Frees img. */
static int keep(kn_parcel *p, ken_image *img, const char *param)
{
    const ken_status st = kn_upload_keep(p->c->s, img, &p->paths[p->n], &p->fresh[p->n]);
    ken_image_free(img);
    if (st)
        kn_answer_failed(p->c->r, st, param);
    p->n += !st;
    return st ? -1 : 0;
}

static int is_full(const kn_parcel *p)
{
    if (p->n == KN_PARCEL)
        kn_answer_error(p->c->r, 422, "too_large", NULL, "more than %d pictures", KN_PARCEL);
    return p->n == KN_PARCEL;
}

static int take_parts(kn_parcel *p)
{
    const kn_form *f = &p->c->form;
    for (size_t i = 0; i < f->n; i++) {
        const kn_part *part = &f->parts[i];
        ken_image *img;
        if (is_full(p) || kn_take_picture(p->c, part->bytes, part->len, part->name, &img) ||
            keep(p, img, part->name))
            return -1;
    }
    return 0;
}

static int take_json(kn_parcel *p)
{
    const cJSON *item;
    cJSON_ArrayForEach (item, cJSON_GetObjectItemCaseSensitive(p->c->body, "images")) {
        char param[32];
        ken_image *img;
        snprintf(param, sizeof param, "images[%zu]", p->n);
        if (is_full(p) || kn_take_base64(p->c, kn_get_text(item, "data", ""), param, &img) ||
            keep(p, img, param))
            return -1;
    }
    return 0;
}

int kn_parcel_take(kn_parcel *p, kn_call *c)
{
    *p = (kn_parcel){ .c = c };
    pthread_rwlock_rdlock(&c->s->sending);
    const int bad = c->is_form ? take_parts(p) : take_json(p);
    if (!bad && !p->n)
        kn_answer_error(c->r, 422, "invalid", "images", "no pictures");
    return bad || !p->n ? -1 : 0;
}

void kn_parcel_refused(kn_parcel *p, const char *why)
{
    if (!p->why[0])
        snprintf(p->why, sizeof p->why, "%s", why);
}

void kn_parcel_served(kn_parcel *p)
{
    memset(p->fresh, 0, sizeof p->fresh);
}

void kn_parcel_release(kn_parcel *p)
{
    ken_server *s = p->c->s;
    uint64_t id;
    pthread_rwlock_unlock(&s->sending);
    for (size_t i = 0; i < p->n; i++) {
        if (p->fresh[i]) {
            pthread_rwlock_wrlock(&s->sending);
            if (ken_find(s->db, p->paths[i], &id) == KEN_E_NOTFOUND)
                kn_upload_drop(s, p->paths[i]);
            pthread_rwlock_unlock(&s->sending);
        }
        kn_free(p->paths[i]);
    }
}
