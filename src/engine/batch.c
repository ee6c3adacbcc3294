/* batch.c - see batch.h.  A picture's bytes are read once, for its hash and for its pixels. */
#include "engine/batch.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/parallel.h"
#include "engine/vector_cache.h"
#include "engine/verify.h"

#include <stdio.h>
#include <string.h>

static const size_t MAX_FILE = (size_t)1 << 30;
static const double SECONDS = 0.5;

ken_status kn_batch_new(kn_batch **out, kn_scan *s)
{
    kn_batch *b = kn_zalloc(1, sizeof *b);
    if (!b)
        return KEN_E_NOMEM;
    b->s = s;
    b->want = 8;
    b->fit_bytes = (size_t)s->prep->crop[0] * s->prep->crop[1] * 3;
    b->pixels = kn_alloc_aligned(KN_BATCH, b->fit_bytes);
    b->vectors = kn_alloc_aligned(KN_BATCH * (size_t)s->info->dim, sizeof *b->vectors);
    if (!b->pixels || !b->vectors) {
        kn_batch_free(b);
        return KEN_E_NOMEM;
    }
    b->began = kn_clock();
    *out = b;
    return KEN_OK;
}

static void free_tasks(kn_batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        kn_free(b->tasks[i].data);
        kn_free(b->tasks[i].drawn);
    }
}

void kn_batch_free(kn_batch *b)
{
    if (!b)
        return;
    free_tasks(b);
    kn_free(b->pixels);
    kn_free(b->vectors);
    kn_free(b->views);
    kn_free(b);
}

void kn_batch_clear(kn_batch *b)
{
    const double now = kn_clock();
    free_tasks(b);
    if (b->n == b->want && now - b->began < SECONDS / 2 && b->want < KN_BATCH)
        b->want *= 2;
    else if (now - b->began > SECONDS * 2 && b->want > 1)
        b->want /= 2;
    b->began = now;
    b->n = b->vectors_n = b->views_n = 0;
}

static void fail_task(kn_task *t, ken_status st)
{
    t->st = st;
    snprintf(t->why, sizeof t->why, "%s", ken_last_error());
    kn_free(t->data);
    t->data = NULL;
}

static int is_fatal(ken_status st)
{
    return st == KEN_E_NOMEM || st == KEN_E_CANCELED;
}

static ken_status read_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    kn_batch *b = cookie;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        kn_task *t = &b->tasks[i];
        ken_status st = kn_check_interrupt();
        t->model = kn_mesh_kind(t->path) != NULL;
        t->views = -1;
        if (!st)
            st = kn_read_file(&t->data, &t->len, t->path, MAX_FILE);
        if (is_fatal(st))
            return st;
        if (st)
            fail_task(t, st);
        else
            kn_hash128_hex(t->hash, t->data, t->len);
    }
    return KEN_OK;
}

ken_status kn_batch_read(kn_batch *b)
{
    return kn_parallel(b->n, 1, b->s->threads, read_piece, b);
}

static ken_status draw_model(const kn_batch *b, kn_task *t)
{
    kn_shape s = { 0 };
    ken_status st = kn_shape_parse(&s, kn_mesh_kind(t->path), t->data, t->len);
    if (!st && !(t->drawn = kn_alloc_aligned(KN_VIEWS, b->fit_bytes)))
        st = KEN_E_NOMEM;
    if (!st)
        st = kn_views_fit(&s, b->s->prep, b->s->threads, t->drawn);
    if (!st)
        kn_verify_keep(b->s->k, &s, t->hash);
    kn_shape_release(&s);
    return st;
}

static ken_status fit_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    kn_batch *b = cookie;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        kn_task *t = &b->tasks[i];
        if (!t->encode || t->st)
            continue;
        ken_status st = kn_check_interrupt();
        if (!st && t->model)
            st = draw_model(b, t);
        else if (!st)
            st = kn_image_decode_fit(t->data, t->len, &b->s->k->decode, b->s->prep,
                                     b->pixels + i * b->fit_bytes, &t->width, &t->height);
        kn_free(t->data);
        t->data = NULL;
        if (is_fatal(st))
            return st;
        if (st)
            fail_task(t, st);
    }
    return KEN_OK;
}

static ken_status encode_model(kn_batch *b, kn_task *t)
{
    const size_t dim = b->s->info->dim;
    if (!b->views && !(b->views = kn_alloc_aligned(KN_BATCH * KN_VIEWS * dim, sizeof *b->views)))
        return KEN_E_NOMEM;
    float *views = b->views + b->views_n * dim;
    ken_status st = kn_encode_pixels(b->s->k, b->s->model, t->drawn, KN_VIEWS, views);
    kn_free(t->drawn);
    t->drawn = NULL;
    if (st)
        return st;
    kn_views_mean(views, dim, b->vectors + b->vectors_n * dim);
    t->vector = (int)b->vectors_n++;
    t->views = (int)b->views_n;
    b->views_n += KN_VIEWS;
    b->s->encoded += KN_VIEWS;
    return KEN_OK;
}

ken_status kn_batch_encode(kn_batch *b)
{
    ken_status st = kn_parallel(b->n, 1, b->s->threads, fit_piece, b);
    size_t n = 0;
    for (size_t i = 0; !st && i < b->n; i++) {
        if (!b->tasks[i].encode || b->tasks[i].st || b->tasks[i].model)
            continue;
        if (n != i)
            memmove(b->pixels + n * b->fit_bytes, b->pixels + i * b->fit_bytes, b->fit_bytes);
        b->tasks[i].vector = (int)n++;
    }
    if (!st && n)
        st = kn_encode_pixels(b->s->k, b->s->model, b->pixels, n, b->vectors);
    if (st)
        return st;
    b->vectors_n = n;
    b->s->encoded += n;
    for (size_t i = 0; !st && i < b->n; i++)
        if (b->tasks[i].drawn)
            st = encode_model(b, &b->tasks[i]);
    return st;
}
