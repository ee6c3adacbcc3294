/* explain_draw.c - the maps of an explanation over its pictures. */
#include "base/alloc.h"
#include "base/error.h"
#include "image/image.h"

#include <math.h>
#include <string.h>

enum { HEIGHT = 384, MOST_HEIGHT = 4096, WIDEST = 4 /* times the height */, GAP = 8, FRAMES = 3 };

static const uint8_t WARM[3] = { 255, 96, 0 }, COLD[3] = { 32, 96, 255 };
static const uint8_t FRAME[FRAMES][3] = { { 255, 255, 0 }, { 0, 255, 160 }, { 255, 128, 255 } };

/* One picture's part of the whole. */
typedef struct panel {
    const ken_image *img;
    const float *map; /* (grid, grid) */
    uint32_t grid[2];
    uint32_t left, width, height;
} panel;

static uint8_t mix(double from, double to, double share)
{
    return (uint8_t)lrint(from + (to - from) * share);
}

/* The map at a point, 0..1 across and down, between the cells' middles. */
static double map_at(const panel *p, double x, double y)
{
    const double gx = fmin(fmax(x * p->grid[1] - 0.5, 0), p->grid[1] - 1.0);
    const double gy = fmin(fmax(y * p->grid[0] - 0.5, 0), p->grid[0] - 1.0);
    const uint32_t x0 = (uint32_t)gx, y0 = (uint32_t)gy;
    const uint32_t x1 = x0 + 1 < p->grid[1] ? x0 + 1 : x0, y1 = y0 + 1 < p->grid[0] ? y0 + 1 : y0;
    const float *top = p->map + (size_t)y0 * p->grid[1], *low = p->map + (size_t)y1 * p->grid[1];
    const double fx = gx - x0, fy = gy - y0;
    return (1 - fy) * ((1 - fx) * (double)top[x0] + fx * (double)top[x1])
           + fy * ((1 - fx) * (double)low[x0] + fx * (double)low[x1]);
}

static double greatest(const panel *p)
{
    double most = 0;
    for (size_t i = 0; i < (size_t)p->grid[0] * p->grid[1]; i++)
        most = fmax(most, fabs((double)p->map[i]));
    return most;
}

/* Grey where nothing counts, so that the colours are the map's alone. */
static void heat(const panel *p, ken_image *to)
{
    const double most = greatest(p);
    for (uint32_t y = 0; y < p->height; y++)
        for (uint32_t x = 0; x < p->width; x++) {
            uint8_t *at = to->pixels + y * to->stride + 3 * (size_t)(p->left + x);
            const double v = most > 0 ? map_at(p, (x + 0.5) / p->width, (y + 0.5) / p->height) / most : 0;
            const uint8_t *color = v < 0 ? COLD : WARM;
            const double grey = 0.299 * at[0] + 0.587 * at[1] + 0.114 * at[2], share = fmin(fabs(v), 1);
            for (int k = 0; k < 3; k++)
                at[k] = mix(mix(grey * 0.8, at[k], share), color[k], 0.55 * share);
        }
}

static void dab(const panel *p, ken_image *to, uint32_t x, uint32_t y, const uint8_t color[3])
{
    if (x < p->width && y < p->height)
        memcpy(to->pixels + y * to->stride + 3 * (size_t)(p->left + x), color, 3);
}

static void frame(const panel *p, ken_image *to, const uint32_t box[4], const uint8_t color[3])
{
    const double sx = (double)p->width / p->img->width, sy = (double)p->height / p->img->height;
    const uint32_t x0 = (uint32_t)(box[0] * sx), y0 = (uint32_t)(box[1] * sy);
    const uint32_t w = (uint32_t)(box[2] * sx), h = (uint32_t)(box[3] * sy);
    for (uint32_t t = 0; t < 2; t++) {
        for (uint32_t x = t; x + t < w; x++) {
            dab(p, to, x0 + x, y0 + t, color);
            dab(p, to, x0 + x, y0 + h - 1 - t, color);
        }
        for (uint32_t y = t; y + t < h; y++) {
            dab(p, to, x0 + t, y0 + y, color);
            dab(p, to, x0 + w - 1 - t, y0 + y, color);
        }
    }
}

static ken_status draw_panel(const panel *p, ken_image *to)
{
    ken_image *small = NULL;
    ken_status st = kn_image_resize(&small, p->img, p->width, p->height, KN_BILINEAR);
    if (st)
        return st;
    for (uint32_t y = 0; y < p->height; y++)
        memcpy(to->pixels + y * to->stride + 3 * (size_t)p->left, small->pixels + y * small->stride,
               3 * (size_t)p->width);
    ken_image_free(small);
    heat(p, to);
    return KEN_OK;
}

static uint32_t width_of(const ken_image *img, uint32_t height)
{
    const double w = (double)img->width / img->height * height;
    return (uint32_t)fmin(fmax(rint(w), 1), (double)WIDEST * height);
}

static ken_status draw(const ken_explanation *e, const panel *panels, ken_image *to)
{
    ken_status st = KEN_OK;
    memset(to->pixels, 255, to->stride * to->height);
    for (int i = 0; i < 2 && !st; i++)
        if (panels[i].map)
            st = draw_panel(&panels[i], to);
    for (size_t r = e->n_regions; !st && r-- > 0;) /* the best one on top */
        for (int i = 0; i < 2; i++)
            if (panels[i].map)
                frame(&panels[i], to, i ? e->regions[r].b : e->regions[r].a, FRAME[r % FRAMES]);
    return st;
}

ken_status ken_explanation_draw(ken_image **out, const ken_explanation *e, const ken_term *a,
                                const ken_term *b, uint32_t height)
{
    uint32_t width = 0;
    if (!out || !e || !a || !b)
        return kn_fail(KEN_E_INVALID, "ken_explanation_draw: a NULL argument");
    if (height > MOST_HEIGHT || !a->image != !e->a || !b->image != !e->b)
        return kn_fail(KEN_E_INVALID, "ken_explanation_draw: more than %d pixels, or not the same pictures",
                       MOST_HEIGHT);
    if (!height)
        height = HEIGHT;
    panel panels[2] = { { .img = a->image, .map = e->a }, { .img = b->image, .map = e->b } };
    for (int i = 0; i < 2; i++) {
        panel *p = &panels[i];
        if (!p->map)
            continue;
        memcpy(p->grid, e->grid, sizeof p->grid);
        p->left = width ? width + GAP : 0;
        p->width = width_of(p->img, height);
        p->height = height;
        width = p->left + p->width;
    }
    ken_image *img = NULL;
    ken_status st = kn_image_new(&img, width, height);
    if (!st)
        st = draw(e, panels, img);
    if (st)
        ken_image_free(img);
    else
        *out = img;
    return st;
}
