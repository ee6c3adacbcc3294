/* teacher.c - an inference network as the teacher of one in training. */
#include "train/teacher.h"

#include "base/alloc.h"
#include "base/error.h"
#include "image/image.h"
#include "nn/net.h"

struct kn_teacher {
    kn_net *net;
    const ken_model_info *info;
    const kn_prep *prep;
    uint32_t side, threads;
    size_t bytes;    /* of a picture as the teacher wants it */
    uint8_t *pixels; /* (batch, bytes); NULL: the pictures have its size already */
    ken_image *views; /* (batch) of the pictures as they come, else */
    const ken_image **list; /* (batch) of them */
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
    t->views = fits ? NULL : kn_alloc(batch, sizeof *t->views);
    t->list = fits ? NULL : kn_alloc(batch, sizeof *t->list);
    if (!t->vectors || !(fits || (t->pixels && t->views && t->list)))
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
    kn_free(t->views);
    kn_free(t->list);
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

/* Into t->pixels. */
static ken_status bring_to_size(kn_teacher *t, const uint8_t *pixels, size_t n)
{
    const uint32_t side = t->side;
    for (size_t i = 0; i < n; i++) {
        uint8_t *own = (uint8_t *)(uintptr_t)(pixels + i * side * side * 3); /* read alone */
        t->views[i] = (ken_image){ side, side, (size_t)side * 3, own };
        t->list[i] = &t->views[i];
    }
    return kn_images_fit(t->list, n, t->prep, t->threads, t->pixels);
}

ken_status kn_teacher_see(kn_teacher *t, const uint8_t *pixels, size_t n, const float **out)
{
    ken_status st = t->pixels ? bring_to_size(t, pixels, n) : KEN_OK;
    if (!st)
        st = kn_net_images(t->net, t->pixels ? t->pixels : pixels, n, t->vectors);
    *out = t->vectors;
    return st;
}
