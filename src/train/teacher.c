/* teacher.c - an inference network as the teacher of one in training. */
#include "train/teacher.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/parallel.h"
#include "nn/net.h"

struct kn_teacher {
    kn_net *net;
    const ken_model_info *info;
    const kn_prep *prep;
    uint32_t side, threads;
    size_t bytes;    /* of a picture as the teacher wants it */
    uint8_t *pixels; /* (batch, bytes); NULL: the pictures have its size already */
    float *vectors;  /* (batch, dim) */
};

ken_status kn_teacher_open(kn_teacher **out, const char *path, uint32_t side, uint32_t batch,
                           uint32_t threads)
{
    const kn_net_options o = { .threads = threads };
    kn_teacher *t = kn_zalloc(1, sizeof *t);
    ken_status st = t ? kn_net_open(&t->net, path, &o) : KEN_E_NOMEM;
    if (st)
        goto done;
    t->info = kn_net_info(t->net);
    t->prep = kn_net_prep(t->net);
    if (!t->prep) {
        st = kn_fail(KEN_E_UNSUPPORTED, "%s has no image network", path);
        goto done;
    }
    t->side = side;
    t->threads = threads;
    t->bytes = (size_t)t->prep->crop[0] * t->prep->crop[1] * 3;
    const int fits = t->prep->crop[0] == side && t->prep->crop[1] == side;
    t->vectors = kn_alloc_aligned((size_t)batch * t->info->dim, sizeof *t->vectors);
    t->pixels = fits ? NULL : kn_alloc(batch, t->bytes);
    if (!t->vectors || !(fits || t->pixels))
        st = KEN_E_NOMEM;
done:
    if (st)
        kn_teacher_close(t);
    else
        *out = t;
    return st;
}

void kn_teacher_close(kn_teacher *t)
{
    if (!t)
        return;
    kn_net_close(t->net);
    kn_free(t->pixels);
    kn_free(t->vectors);
    kn_free(t);
}

uint32_t kn_teacher_dim(const kn_teacher *t)
{
    return t->info->dim;
}

const char *kn_teacher_fingerprint(const kn_teacher *t)
{
    return t->info->fingerprint;
}

typedef struct sizing {
    const kn_teacher *t;
    const uint8_t *pixels;
} sizing;

static ken_status size_piece(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const sizing *s = cookie;
    const uint32_t side = s->t->side;
    ken_status st = KEN_OK;
    (void)worker;
    for (size_t i = begin; !st && i < end; i++) {
        ken_image *img = NULL;
        st = ken_image_from_rgb(&img, s->pixels + i * side * side * 3, side, side, (size_t)side * 3);
        if (!st)
            st = kn_image_fit(img, s->t->prep, s->t->pixels + i * s->t->bytes);
        ken_image_free(img);
    }
    return st;
}

ken_status kn_teacher_see(kn_teacher *t, const uint8_t *pixels, size_t n, const float **out)
{
    sizing s = { t, pixels };
    ken_status st = t->pixels ? kn_parallel(n, 1, t->threads, size_piece, &s) : KEN_OK;
    if (!st)
        st = kn_net_images(t->net, t->pixels ? t->pixels : pixels, n, t->vectors);
    *out = t->vectors;
    return st;
}
