/* route_items.c - the collection's items: records, small pictures, and the files themselves. */
#include "base/alloc.h"
#include "serve/server.h"
#include "serve/uploads.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { THUMBNAIL = 256, QUALITY = 82 };

cJSON *kn_json_record(const ken_record *r)
{
    cJSON *o = cJSON_CreateObject();
    kn_json_id(o, "id", r->id);
    kn_json_path(o, "path", r->path);
    kn_json_text(o, "object", r->object);
    kn_json_text(o, "kind", r->kind);
    const int size[2] = { (int)r->width, (int)r->height };
    cJSON_AddItemToObject(o, "size", cJSON_CreateIntArray(size, 2));
    cJSON_AddNumberToObject(o, "bytes", (double)r->bytes);
    kn_json_time(o, "mtime", r->mtime_ns);
    kn_json_time(o, "added", r->added_ns);
    kn_json_text(o, "hash", r->hash);
    kn_json_text(o, "model", r->model);
    cJSON *meta = r->meta ? cJSON_Parse(r->meta) : NULL;
    cJSON_AddItemToObject(o, "meta", meta ? meta : cJSON_CreateNull());
    cJSON_AddBoolToObject(o, "hidden", r->hidden);
    return o;
}

void kn_route_item(kn_call *c)
{
    ken_record *r;
    if (kn_take_item(c, &r))
        return;
    kn_answer_json(c->r, 200, kn_json_record(r));
    ken_record_free(r);
}

/* ---- files ---- */

int kn_path_allowed(const ken_server *s, const char *real)
{
    int ok = s->n_roots == 0;
    for (size_t i = 0; !ok && i < s->n_roots; i++) {
        const size_t n = strlen(s->roots[i]);
        ok = !strncmp(real, s->roots[i], n) && (real[n] == '/' || !real[n]);
    }
    return ok || kn_upload_is(s, real);
}

/* Where the item's file really lies, if it is under a root; else the answer is given.  kn_free it. */
static char *allowed_path(kn_call *c, const ken_record *r)
{
    char *real = kn_alloc(PATH_MAX, 1);
    if (!real || !realpath(r->path, real))
        kn_answer_error(c->r, 404, "file_missing", "id", "the file of item %s: %s", c->id,
                        real ? strerror(errno) : "out of memory");
    else if (!kn_path_allowed(c->s, real))
        kn_answer_error(c->r, 403, "outside_roots", "id",
                        "the file of item %s is outside of the server's roots", c->id);
    else
        return real;
    kn_free(real);
    return NULL;
}

/* An open regular file, or -1 with the answer given. */
static int open_file(kn_call *c, const ken_record *r, struct stat *info)
{
    char *path = allowed_path(c, r);
    if (!path)
        return -1;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    kn_free(path);
    if (fd >= 0 && fstat(fd, info) == 0 && S_ISREG(info->st_mode))
        return fd;
    if (fd >= 0)
        close(fd);
    kn_answer_error(c->r, 404, "file_missing", "id", "the file of item %s cannot be opened", c->id);
    return -1;
}

static const char *type_of(int fd)
{
    static const struct {
        size_t at;
        const char *bytes;
        size_t n;
        const char *type;
    } all[] = { { 0, "\xff\xd8\xff", 3, "image/jpeg" },
                { 0, "\x89PNG\r\n", 6, "image/png" },
                { 0, "GIF8", 4, "image/gif" },
                { 8, "WEBP", 4, "image/webp" },
                { 0, "BM", 2, "image/bmp" },
                { 4, "ftypavif", 8, "image/avif" },
                { 4, "ftyphei", 7, "image/heic" },
                { 4, "ftypmif1", 8, "image/heif" },
                { 0, "P6", 2, "image/x-portable-pixmap" },
                { 0, "P5", 2, "image/x-portable-graymap" } };
    char head[16] = { 0 };
    const ssize_t got = pread(fd, head, sizeof head, 0);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (got >= (ssize_t)(all[i].at + all[i].n) && !memcmp(head + all[i].at, all[i].bytes, all[i].n))
            return all[i].type;
    return "application/octet-stream";
}

/* "bytes=A-B", "bytes=A-" or "bytes=-N"; 0: none, or not understood (then the whole is the answer); -1:
 * nothing of it is there. */
static int read_range(const char *s, uint64_t size, uint64_t *from, uint64_t *n)
{
    unsigned long long a, b;
    int used = 0;
    if (!s || strncmp(s, "bytes=", 6) != 0)
        return 0;
    s += 6;
    if (sscanf(s, "-%llu%n", &b, &used) == 1 && *s == '-' && !s[used]) {
        *from = b < size ? size - b : 0;
        *n = size - *from;
        return b && size ? 1 : -1;
    }
    if (*s < '0' || *s > '9')
        return 0;
    if (sscanf(s, "%llu-%llu%n", &a, &b, &used) == 2 && !s[used])
        b = b < size ? b : size - 1;
    else if (sscanf(s, "%llu-%n", &a, &used) == 1 && used && !s[used])
        b = size - 1;
    else
        return 0;
    if (a >= size)
        return -1;
    if (b < a)
        return 0;
    *from = a;
    *n = b - a + 1;
    return 1;
}

void kn_route_original(kn_call *c)
{
    ken_record *r;
    struct stat info;
    char etag[96];
    if (kn_take_item(c, &r))
        return;
    const int fd = open_file(c, r, &info);
    if (fd >= 0)
        snprintf(etag, sizeof etag, "%s-%llx-%llx", r->hash, (unsigned long long)info.st_size,
                 (unsigned long long)info.st_mtim.tv_sec * 1000000000 +
                     (unsigned long long)info.st_mtim.tv_nsec);
    ken_record_free(r);
    if (fd < 0)
        return;
    if (kn_answer_known(c->r, etag)) {
        close(fd);
        return;
    }
    c->r->fd = fd;
    c->r->bytes = (uint64_t)info.st_size;
    kn_reply_header(c->r, "Accept-Ranges", "bytes");
    const int part =
        read_range(kn_request_header(c->r, "Range"), (uint64_t)info.st_size, &c->r->offset, &c->r->bytes);
    if (part < 0) {
        close(fd);
        c->r->fd = -1;
        kn_reply_header(c->r, "Content-Range", "bytes */%llu", (unsigned long long)info.st_size);
        kn_answer_error(c->r, 416, "range", NULL, "the file has %llu bytes",
                        (unsigned long long)info.st_size);
        return;
    }
    c->r->status = part ? 206 : 200;
    if (part)
        kn_reply_header(c->r, "Content-Range", "bytes %llu-%llu/%llu", (unsigned long long)c->r->offset,
                        (unsigned long long)(c->r->offset + c->r->bytes - 1),
                        (unsigned long long)info.st_size);
    kn_reply_header(c->r, "Content-Type", "%s", type_of(fd));
}

/* ---- small pictures ---- */

/* A picture's file at a reduced size, or a view of a model. */
static ken_status load(const kn_call *c, const ken_record *r, const char *path, uint32_t w, ken_image **out)
{
    if (!strcmp(r->kind, "model")) {
        ken_mesh *mesh = NULL;
        const uint32_t view = (uint32_t)kn_get_number(c->args, "view", 0);
        ken_status st = ken_mesh_load(&mesh, path);
        if (!st)
            st = ken_mesh_view(out, mesh, view % ken_mesh_views(), w);
        ken_mesh_free(mesh);
        return st;
    }
    ken_decode_options o = c->s->decode;
    o.fit = w;
    return ken_image_load(out, path, &o);
}

static ken_status shrink(ken_image **img, uint32_t w)
{
    const uint32_t width = ken_image_width(*img), height = ken_image_height(*img);
    const uint32_t longest = width > height ? width : height;
    ken_image *small = NULL;
    if (longest <= w)
        return KEN_OK;
    const uint32_t sw = (uint32_t)((uint64_t)width * w / longest),
                   sh = (uint32_t)((uint64_t)height * w / longest);
    const ken_status st = ken_image_resize(&small, *img, sw ? sw : 1, sh ? sh : 1, "bilinear");
    if (!st) {
        ken_image_free(*img);
        *img = small;
    }
    return st;
}

static ken_status make(const kn_call *c, const ken_record *r, const char *path, uint32_t w,
                       unsigned char **bytes, size_t *n)
{
    ken_image *img = NULL;
    void *out = NULL;
    ken_status st = load(c, r, path, w, &img);
    if (!st)
        st = shrink(&img, w);
    if (!st)
        st = ken_image_encode(img, QUALITY, &out, n);
    ken_image_free(img);
    *bytes = out;
    return st;
}

static void send_thumbnail(kn_call *c, const ken_record *r, const char *key, uint32_t w)
{
    unsigned char *bytes = NULL;
    size_t n = 0;
    ken_status st = KEN_OK;
    char *path = allowed_path(c, r);
    if (!path)
        return;
    if (!kn_thumbs_get(c->s->thumbs, key, &bytes, &n)) {
        st = make(c, r, path, w, &bytes, &n);
        if (!st)
            kn_thumbs_put(c->s->thumbs, key, bytes, n);
    }
    if (!st)
        st = kn_buf_add(&c->r->out, bytes, n);
    if (st == KEN_E_NOTFOUND || st == KEN_E_IO)
        kn_answer_error(c->r, 404, "file_missing", "id", "%s", ken_last_error());
    else if (st)
        kn_answer_failed(c->r, st, "id");
    else {
        c->r->status = 200;
        kn_reply_header(c->r, "Content-Type", "image/jpeg");
    }
    kn_free(bytes);
    kn_free(path);
}

int kn_item_picture(kn_call *c, const ken_record *r, ken_image **out)
{
    char *path = allowed_path(c, r);
    if (!path)
        return -1;
    const ken_status st = load(c, r, path, 0, out);
    if (st == KEN_E_NOTFOUND || st == KEN_E_IO)
        kn_answer_error(c->r, 404, "file_missing", "id", "%s", ken_last_error());
    else if (st)
        kn_answer_failed(c->r, st, "id");
    kn_free(path);
    return st ? -1 : 0;
}

void kn_route_thumbnail(kn_call *c)
{
    char key[64];
    ken_record *r;
    const uint32_t w = (uint32_t)kn_get_number(c->args, "w", THUMBNAIL);
    if (kn_take_item(c, &r))
        return;
    snprintf(key, sizeof key, "%.33s-%u-%u", r->hash, w, (unsigned)kn_get_number(c->args, "view", 0));
    if (!kn_answer_known(c->r, key))
        send_thumbnail(c, r, key, w);
    ken_record_free(r);
}
