/*
 * render.c - pictures of toys in a folder, with a list, captions and the truth.
 *
 * Pictures are made in chunks, a chunk's pictures side by side; the tables are written chunk by
 * chunk and take their names only when all pictures are there.  A picture's bytes depend on its id,
 * mode, view, seed and size alone.
 */
#include "tools/toys/toys_tool.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "image/image.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 256, QUALITY = 95, MOST_LINES = 1 << 24 };

typedef struct helper { /* one thread's */
    kn_toy_camera *camera;
    uint8_t *rgb, *mask;
} helper;

typedef struct job {
    const tt_args *a;
    helper *helpers;
    tt_shot *shots; /* (CHUNK) */
    uint64_t start; /* number of the chunk's first */
    kn_replace list, captions, truth;
} job;

/* ---- one picture ---- */

static ken_status save(const tt_args *a, const char *name, const ken_image *img, int quality)
{
    unsigned char *bytes = NULL;
    size_t len;
    int fd = -1;
    char *path = kn_path_join(a->out, name), *temp = NULL;
    kn_buf b;
    kn_buf_init(&b, 1 << 16);
    ken_status st = path ? kn_image_encode(&bytes, &len, img, quality) : KEN_E_NOMEM;
    if (!st)
        st = kn_buf_addf(&b, "%s.tmp", path);
    if (!st && !(temp = kn_buf_take(&b)))
        st = KEN_E_NOMEM;
    if (!st)
        st = kn_open(&fd, temp, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (!st)
        st = kn_write(fd, bytes, len);
    if (fd >= 0 && close(fd) && !st)
        st = kn_fail(KEN_E_IO, "%s cannot be written", temp);
    if (!st)
        st = kn_rename(temp, path);
    if (st && fd >= 0)
        unlink(temp); /* not a step: it loses nothing */
    kn_buf_release(&b);
    kn_free(bytes);
    kn_free(temp);
    kn_free(path);
    return st;
}

static ken_status make_folder(const tt_args *a, const tt_shot *s)
{
    char name[64];
    snprintf(name, sizeof name, "%llu%s", (unsigned long long)s->id, s->twin ? "-twin" : "");
    char *dir = kn_path_join(a->out, name);
    if (!dir)
        return KEN_E_NOMEM;
    ken_status st = kn_mkdirs(dir);
    kn_free(dir);
    return st;
}

/* Shot number n of all: an id's views, then its twin's. */
static void plan(tt_shot *s, const tt_args *a, uint64_t n)
{
    const uint32_t each = a->views * (a->twins ? 2 : 1);
    memset(s, 0, sizeof *s);
    s->id = a->first + n / each;
    s->twin = n % each >= a->views;
    s->number = a->first_view + (uint32_t)(n % a->views);
    snprintf(s->path, sizeof s->path, "%llu%s/%s-%u.%s", (unsigned long long)s->id,
             s->twin ? "-twin" : "", kn_toy_mode_name(a->mode), s->number, a->jpeg ? "jpg" : "png");
}

static ken_status take(helper *h, const tt_args *a, tt_shot *s)
{
    kn_toy one, other;
    kn_toy_make(&one, s->id);
    if (a->twins)
        kn_toy_twin(&other, s->id, &s->attribute);
    s->toy = s->twin ? other : one;
    kn_toy_view_make(&s->view, &s->toy, a->mode, a->seed, s->number);
    float share[2] = { 0 };
    ken_status st = kn_toy_shoot(h->camera, &s->toy, &s->view, a->size, h->rgb,
                                 a->masks ? h->mask : NULL, &s->truth);
    if (!st && a->twins)
        st = kn_toy_differs(h->camera, &one, &other, &s->view, a->size, share);
    s->differs = share[s->twin];
    return st;
}

static ken_status save_mask(helper *h, const tt_args *a, const tt_shot *s)
{
    char name[sizeof s->path + 16];
    for (size_t i = (size_t)a->size * a->size; i-- > 0;) /* from grey to RGB, in place */
        memset(h->rgb + 3 * i, h->mask[i], 3);
    const ken_image img = { a->size, a->size, 3 * (size_t)a->size, h->rgb };
    snprintf(name, sizeof name, "%.*s-mask.png", (int)(strrchr(s->path, '.') - s->path), s->path);
    return save(a, name, &img, 0);
}

static ken_status some(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    job *j = cookie;
    helper *h = &j->helpers[worker];
    ken_status st = KEN_OK;
    for (size_t i = begin; !st && i < end; i++) {
        tt_shot *s = &j->shots[i];
        const ken_image img = { j->a->size, j->a->size, 3 * (size_t)j->a->size, h->rgb };
        plan(s, j->a, j->start + i);
        st = take(h, j->a, s);
        if (!st)
            st = make_folder(j->a, s);
        if (!st)
            st = save(j->a, s->path, &img, j->a->jpeg ? QUALITY : 0);
        if (!st && j->a->masks)
            st = save_mask(h, j->a, s);
        if (!st)
            st = kn_check_interrupt();
    }
    return st;
}

/* ---- the tables ---- */

static ken_status tell(const job *j, size_t n)
{
    kn_buf list, captions, truth;
    kn_buf_init(&list, MOST_LINES);
    kn_buf_init(&captions, MOST_LINES);
    kn_buf_init(&truth, MOST_LINES);
    ken_status st = j->start ? KEN_OK : kn_buf_adds(&list, "path,label\n");
    for (size_t i = 0; !st && i < n; i++) {
        const tt_shot *s = &j->shots[i];
        const uint32_t each = j->a->captions;
        st = kn_buf_addf(&list, "%s,%llu%s\n", s->path, (unsigned long long)s->id,
                         s->twin ? "-twin" : "");
        for (uint32_t k = 0; !st && k < each; k++)
            st = tt_caption_line(&captions, s, 1 + s->number * each + k);
        if (!st)
            st = tt_truth_line(&truth, j->a, s);
    }
    if (!st)
        st = kn_write(j->list.fd, list.data, list.len);
    if (!st)
        st = kn_write(j->captions.fd, captions.data, captions.len);
    if (!st)
        st = kn_write(j->truth.fd, truth.data, truth.len);
    kn_buf_release(&list);
    kn_buf_release(&captions);
    kn_buf_release(&truth);
    return st;
}

static ken_status open_table(kn_replace *r, const tt_args *a, const char *name)
{
    char *path = kn_path_join(a->out, name);
    ken_status st = path ? kn_replace_begin(r, path) : KEN_E_NOMEM;
    kn_free(path);
    return st;
}

static ken_status open_tables(job *j)
{
    ken_status st = kn_mkdirs(j->a->out);
    if (!st)
        st = open_table(&j->captions, j->a, "captions.jsonl");
    if (!st)
        st = open_table(&j->truth, j->a, "truth.jsonl");
    return st ? st : open_table(&j->list, j->a, "list.csv");
}

/* The list last: where it is, all is. */
static ken_status close_tables(job *j)
{
    ken_status st = kn_replace_commit(&j->captions);
    if (!st)
        st = kn_replace_commit(&j->truth);
    return st ? st : kn_replace_commit(&j->list);
}

/* ---- all ---- */

static ken_status gather(job *j)
{
    const size_t n = (size_t)j->a->size * j->a->size;
    j->shots = kn_alloc(CHUNK, sizeof *j->shots);
    j->helpers = kn_zalloc(j->a->threads, sizeof *j->helpers);
    if (!j->shots || !j->helpers)
        return KEN_E_NOMEM;
    for (uint32_t i = 0; i < j->a->threads; i++) {
        helper *h = &j->helpers[i];
        const ken_status st = kn_toy_camera_new(&h->camera, j->a->size);
        if (st)
            return st;
        h->rgb = kn_alloc(3 * n, 1);
        h->mask = kn_alloc(n, 1);
        if (!h->rgb || !h->mask)
            return KEN_E_NOMEM;
    }
    return KEN_OK;
}

static void release(job *j)
{
    for (uint32_t i = 0; j->helpers && i < j->a->threads; i++) {
        kn_toy_camera_free(j->helpers[i].camera);
        kn_free(j->helpers[i].rgb);
        kn_free(j->helpers[i].mask);
    }
    kn_free(j->helpers);
    kn_free(j->shots);
    kn_replace_abort(&j->list);
    kn_replace_abort(&j->captions);
    kn_replace_abort(&j->truth);
}

static ken_status render(job *j, kn_meter *m, uint64_t total)
{
    ken_status st = gather(j);
    if (!st)
        st = open_tables(j);
    for (j->start = 0; !st && j->start < total; j->start += CHUNK) {
        const size_t n = total - j->start < CHUNK ? (size_t)(total - j->start) : CHUNK;
        st = kn_parallel(n, 1, j->a->threads, some, j);
        if (!st)
            st = tell(j, n);
        if (!st)
            st = kn_meter_tell(m, j->start + n, NULL);
    }
    return st ? st : close_tables(j);
}

int tt_render(const tt_args *a)
{
    job j = { .a = a };
    kn_meter m;
    const uint64_t total = (a->end - a->first) * a->views * (a->twins ? 2 : 1);
    kn_meter_start(&m, "render", "pictures", total, a->quiet ? NULL : tt_progress, NULL);
    ken_status st = render(&j, &m, total);
    kn_meter_end(&m);
    release(&j);
    return st ? tt_fail(st) : TT_DONE;
}
