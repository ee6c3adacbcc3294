/* views.c - see views.h; and models as ken.h shows them. */
#include "engine/views.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/parallel.h"
#include "engine/model.h"
#include "kernels/kernels.h"
#include "mesh/align.h"

#include <string.h>

/* ---- drawing ---- */

static ken_status draw_shot(ken_image **out, const kn_shape *s, const kn_shot *shot)
{
    const uint32_t side = shot->size;
    ken_image *img = NULL;
    uint8_t *rgb = kn_alloc((size_t)side * side, 3);
    ken_status st = rgb ? kn_shape_render(s, shot, rgb, NULL) : KEN_E_NOMEM;
    if (!st)
        st = ken_image_from_rgb(&img, rgb, side, side, (size_t)side * 3);
    kn_free(rgb);
    if (!st)
        *out = img;
    return st;
}

static ken_status draw(ken_image **out, const kn_shape *s, uint32_t view, uint32_t side)
{
    kn_shot shot;
    kn_shot_init(&shot);
    kn_shot_view(&shot, view);
    shot.size = side;
    return draw_shot(out, s, &shot);
}

uint32_t kn_views_side(const kn_prep *p)
{
    const uint32_t sides[] = { p->resize[0], p->crop[0], p->crop[1] };
    uint32_t most = 1;
    for (int i = 0; i < 3; i++)
        most = sides[i] > most ? sides[i] : most;
    return most < 2048 ? most : 2048;
}

typedef struct drawer {
    const kn_shape *s;
    const kn_prep *p;
    uint8_t *pixels;
} drawer;

static ken_status draw_some(size_t begin, size_t end, uint32_t worker, void *cookie)
{
    const drawer *d = cookie;
    const size_t bytes = (size_t)d->p->crop[0] * d->p->crop[1] * 3;
    ken_status st = KEN_OK;
    (void)worker;
    for (size_t i = begin; !st && i < end; i++) {
        ken_image *img = NULL;
        st = draw(&img, d->s, (uint32_t)i, kn_views_side(d->p));
        if (!st)
            st = kn_image_fit(img, d->p, d->pixels + i * bytes);
        ken_image_free(img);
    }
    return st;
}

ken_status kn_views_fit(const kn_shape *s, const kn_prep *p, uint32_t threads, uint8_t *pixels)
{
    drawer d = { s, p, pixels };
    return kn_parallel(KN_VIEWS, 1, threads, draw_some, &d);
}

void kn_views_mean(const float *vectors, size_t dim, float *mean)
{
    memset(mean, 0, dim * sizeof *mean);
    for (size_t v = 0; v < KN_VIEWS; v++)
        for (size_t d = 0; d < dim; d++)
            mean[d] += vectors[v * dim + d];
    if (!(kn_kernels_get()->l2_normalize(mean, dim) > 0))
        memcpy(mean, vectors, dim * sizeof *mean);
}

/* ---- ken.h ---- */

int ken_mesh_named(const char *path)
{
    return path && kn_mesh_kind(path);
}

ken_status ken_mesh_load(ken_mesh **out, const char *path)
{
    kn_mesh triangles = { 0 };
    if (!out || !path)
        return kn_fail(KEN_E_INVALID, "ken_mesh_load: a NULL argument");
    ken_mesh *m = kn_zalloc(1, sizeof *m);
    ken_status st = m ? kn_mesh_load(&triangles, path) : KEN_E_NOMEM;
    if (!st)
        st = kn_shape_new(&m->shape, &triangles);
    kn_mesh_release(&triangles);
    if (st)
        kn_free(m);
    else
        *out = m;
    return st;
}

void ken_mesh_free(ken_mesh *m)
{
    if (m)
        kn_shape_release(&m->shape);
    kn_free(m);
}

size_t ken_mesh_triangles(const ken_mesh *m)
{
    return m ? m->shape.n : 0;
}

uint32_t ken_mesh_views(void)
{
    return KN_VIEWS;
}

const char *ken_mesh_view_name(uint32_t view)
{
    return kn_view_named(view);
}

ken_status ken_mesh_view(ken_image **out, const ken_mesh *m, uint32_t view, uint32_t side)
{
    if (!out || !m || view >= KN_VIEWS || side > 2048)
        return kn_fail(KEN_E_INVALID, "ken_mesh_view: no model, no view %u, or %u pixels a side", view,
                       side);
    return draw(out, &m->shape, view, side ? side : 224);
}

/* The mean colour of a picture's border. */
static void find_border(const ken_image *img, uint8_t rgb[3])
{
    uint64_t sum[3] = { 0 }, n = 0;
    for (uint32_t y = 0; y < img->height; y++) {
        const int whole = y == 0 || y == img->height - 1;
        for (uint32_t x = 0; x < img->width; x += whole || img->width < 2 ? 1 : img->width - 1, n++)
            for (uint32_t c = 0; c < 3; c++)
                sum[c] += img->pixels[y * img->stride + 3 * (size_t)x + c];
    }
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)(sum[c] / n);
}

enum { SEEN = 112 }; /* pixels a side of a picture that is held against a model */

static ken_status make_small(const ken_image *img, uint8_t *rgb)
{
    kn_prep p = { .fit = KN_FIT_LONGEST, .resize = { SEEN, SEEN }, .crop = { SEEN, SEEN },
                  .filter = KN_BOX };
    find_border(img, p.fill);
    return kn_image_fit(img, &p, rgb);
}

ken_status kn_views_thing(kn_thing *out, const ken_image *img)
{
    uint8_t *rgb = kn_alloc((size_t)SEEN * SEEN, 3);
    ken_status st = rgb ? make_small(img, rgb) : KEN_E_NOMEM;
    if (!st)
        st = kn_thing_find(out, rgb, SEEN);
    kn_free(rgb);
    return st;
}

ken_status ken_mesh_align(const ken_mesh *m, const ken_image *img, ken_alignment *out)
{
    if (!m || !img || !out || out->size != sizeof *out)
        return kn_fail(KEN_E_INVALID, "ken_mesh_align: a NULL argument, or size is not set");
    kn_alignment a;
    uint8_t *rgb = kn_alloc((size_t)SEEN * SEEN, 3);
    ken_status st = rgb ? make_small(img, rgb) : KEN_E_NOMEM;
    if (!st)
        st = kn_align(&m->shape, rgb, SEEN, &a);
    kn_free(rgb);
    if (st)
        return st;
    *out = (ken_alignment){ .size = sizeof *out, .agreement = a.agreement, .outline = a.outline,
                            .perspective = a.shot.perspective };
    memcpy(out->eye, a.shot.eye, sizeof out->eye);
    memcpy(out->up, a.shot.up, sizeof out->up);
    return KEN_OK;
}

ken_status ken_mesh_view_aligned(ken_image **out, const ken_mesh *m, const ken_alignment *a,
                                 uint32_t side)
{
    kn_shot shot;
    if (!out || !m || !a || a->size != sizeof *a)
        return kn_fail(KEN_E_INVALID, "ken_mesh_view_aligned: a NULL argument, or size is not set");
    kn_shot_init(&shot);
    memcpy(shot.eye, a->eye, sizeof shot.eye);
    memcpy(shot.up, a->up, sizeof shot.up);
    shot.perspective = a->perspective;
    shot.size = side ? side : 224;
    if (shot.size > 2048)
        return kn_fail(KEN_E_INVALID, "ken_mesh_view_aligned: %u pixels a side", side);
    return draw_shot(out, &m->shape, &shot);
}

ken_status ken_model_embed_mesh(const ken_model *m, const ken_mesh *mesh, float *vectors)
{
    if (!m || !mesh || !vectors)
        return kn_fail(KEN_E_INVALID, "ken_model_embed_mesh: a NULL argument");
    const kn_prep *p = kn_model_prep(m);
    if (!p)
        return kn_fail(KEN_E_UNSUPPORTED, "model %s has no image network", ken_model_get_info(m)->name);
    uint8_t *pixels = kn_alloc_aligned(KN_VIEWS, (size_t)p->crop[0] * p->crop[1] * 3);
    ken_status st = pixels ? kn_views_fit(&mesh->shape, p, kn_processors(), pixels) : KEN_E_NOMEM;
    if (!st)
        st = kn_model_embed_pixels(m, pixels, KN_VIEWS, vectors);
    kn_free(pixels);
    return st;
}
