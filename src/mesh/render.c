/*
 * render.c - a picture of a shape: depth buffer, lit at the corners of triangles, several samples a pixel.
 *
 * Corners are put on a grid of 1/16 sample and edges are tested in whole numbers, borders included: no
 * gaps between triangles, and nothing depends on rounding.  Depth is 1 / distance, which is linear in
 * the picture; so is, nearly enough for a mild perspective, the light.
 */
#include "mesh/shape.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

enum { GRID = 16, MAX_SIZE = 2048, MAX_SAMPLES = 4 };

typedef struct canvas {
    int32_t side;  /* samples */
    int channels;  /* of what is drawn: 0 only where the shape is, 1 light, 3 normals */
    float *depth;  /* (side, side) larger is nearer; 0: nothing */
    float *ink;    /* (side, side, channels) */
} canvas;

typedef struct camera {
    float right[3], up[3], back[3]; /* unit */
    float key[3], fill[3];          /* unit, in the model's directions */
    float distance;                 /* of the middle; 0: parallel */
    float scale, middle;            /* to samples */
} camera;

/* A corner in the picture. */
typedef struct spot {
    int64_t x, y; /* 1/GRID samples; y downward */
    float depth, ink[3];
} spot;

/* ---- camera ---- */

static float dot(const float *a, const float *b)
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void cross(float out[3], const float *a, const float *b)
{
    for (int i = 0; i < 3; i++)
        out[i] = a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3];
}

static int set_unit(float out[3], const float v[3])
{
    const float len = sqrtf(dot(v, v));
    if (!(len > 1e-6f && len < 1e18f))
        return 0;
    for (int i = 0; i < 3; i++)
        out[i] = v[i] / len;
    return 1;
}

/* A light's direction among the model's. */
static int set_light(float out[3], const camera *c, const float v[3])
{
    float u[3];
    if (!set_unit(u, v))
        return 0;
    for (int i = 0; i < 3; i++)
        out[i] = u[0] * c->right[i] + u[1] * c->up[i] + u[2] * c->back[i];
    return 1;
}

static ken_status set_camera(camera *c, const kn_shot *s)
{
    float up[3], side[3];
    if (!(s->size >= 1 && s->size <= MAX_SIZE && s->samples >= 1 && s->samples <= MAX_SAMPLES
          && s->perspective >= 0 && s->perspective <= .9f && s->fill > 0 && s->fill <= 4))
        return kn_fail(KEN_E_INVALID, "kn_shot: size, samples, perspective or fill out of range");
    if (!set_unit(c->back, s->eye) || !set_unit(up, s->up))
        return kn_fail(KEN_E_INVALID, "kn_shot: a direction without a length");
    cross(side, up, c->back);
    if (!set_unit(c->right, side))
        return kn_fail(KEN_E_INVALID, "kn_shot: up is along eye");
    cross(c->up, c->back, c->right);
    if (!set_light(c->key, c, s->key) || !set_light(c->fill, c, s->fills))
        return kn_fail(KEN_E_INVALID, "kn_shot: a light without a direction");
    /* seen from d the unit sphere has the outline of a disc of 1 / sqrt(d^2 - 1) at distance 1 */
    c->distance = s->perspective > 0 ? 1 / s->perspective : 0;
    c->middle = (float)(s->size * s->samples) / 2;
    c->scale = c->middle * s->fill
               * (c->distance > 0 ? sqrtf(c->distance * c->distance - 1) : 1);
    return KEN_OK;
}

static float light_of(const camera *c, const kn_shot *s, const float *normal, int turned)
{
    const float sign = turned ? -1.0f : 1.0f;
    const float key = sign * dot(normal, c->key), fill = sign * dot(normal, c->fill);
    const float sum = s->ambient + (key > 0 ? s->key_strength * key : 0)
                      + (fill > 0 ? s->fill_strength * fill : 0);
    return sum < 1 ? sum : 1;
}

static void place(const camera *c, const float *p, spot *out)
{
    const float z = dot(p, c->back);
    const float nearness = c->distance > 0 ? 1 / (c->distance - z) : 1;
    const float x = c->middle + c->scale * nearness * dot(p, c->right);
    const float y = c->middle - c->scale * nearness * dot(p, c->up);
    out->x = (int64_t)floorf(x * GRID + .5f);
    out->y = (int64_t)floorf(y * GRID + .5f);
    out->depth = c->distance > 0 ? nearness : 2 + z;
}

/* ---- triangles ---- */

/* a x + b y + c, >= 0 inside, at the middles of samples. */
typedef struct edge {
    int64_t a, b, c;
} edge;

static edge edge_of(const spot *p, const spot *q)
{
    edge e = { p->y - q->y, q->x - p->x, 0 };
    e.c = -(e.a * p->x + e.b * p->y) + (e.a + e.b) * (GRID / 2);
    e.a *= GRID;
    e.b *= GRID;
    return e;
}

static int64_t floor_div(int64_t a, int64_t b) /* b > 0 */
{
    return a >= 0 ? a / b : -((b - 1 - a) / b);
}

/* A value that is given at the corners, as a plane, and its range. */
typedef struct plane {
    float x, y, c, low, high;
} plane;

static plane plane_of(const spot t[3], const float v[3], double area)
{
    const double x0 = (double)t[0].x / GRID - .5, y0 = (double)t[0].y / GRID - .5;
    const double x1 = (double)(t[1].x - t[0].x) / GRID, y1 = (double)(t[1].y - t[0].y) / GRID;
    const double x2 = (double)(t[2].x - t[0].x) / GRID, y2 = (double)(t[2].y - t[0].y) / GRID;
    const double v1 = (double)v[1] - (double)v[0], v2 = (double)v[2] - (double)v[0];
    const double dx = (v1 * y2 - v2 * y1) / area, dy = (v2 * x1 - v1 * x2) / area;
    plane p = { (float)dx, (float)dy, (float)((double)v[0] - dx * x0 - dy * y0), v[0], v[0] };
    for (int i = 1; i < 3; i++) {
        p.low = v[i] < p.low ? v[i] : p.low;
        p.high = v[i] > p.high ? v[i] : p.high;
    }
    return p;
}

static float at(const plane *p, float x, float y)
{
    const float v = p->c + p->x * x + p->y * y;
    return v < p->low ? p->low : v > p->high ? p->high : v;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void fill_row(canvas *v, int32_t y, int64_t from, int64_t to, const plane *depth,
                     const plane *ink)
{
    const int channels = v->channels;
    float *d = v->depth + (size_t)y * (size_t)v->side;
    float *row = channels ? v->ink + (size_t)y * (size_t)v->side * (size_t)channels : NULL;
    for (int64_t x = from; !channels && x <= to; x++)
        d[x] = 1;
    for (int64_t x = from; channels && x <= to; x++) {
        const float near = at(depth, (float)x, (float)y);
        if (near <= d[x])
            continue;
        d[x] = near;
        for (int i = 0; i < channels; i++)
            row[x * channels + i] = at(&ink[i], (float)x, (float)y);
    }
}

/* Corners run so that the inside is on the positive side of all edges; area > 0, in squared samples. */
static void fill_triangle(canvas *v, const spot t[3], double area)
{
    const float depths[3] = { t[0].depth, t[1].depth, t[2].depth };
    const plane depth = plane_of(t, depths, area);
    plane ink[3];
    for (int i = 0; i < v->channels; i++) {
        const float values[3] = { t[0].ink[i], t[1].ink[i], t[2].ink[i] };
        ink[i] = plane_of(t, values, area);
    }
    const edge e[3] = { edge_of(&t[0], &t[1]), edge_of(&t[1], &t[2]), edge_of(&t[2], &t[0]) };
    const int64_t last = v->side - 1;
    const int64_t x0 = most(floor_div(least(least(t[0].x, t[1].x), t[2].x), GRID), 0);
    const int64_t x1 = least(floor_div(most(most(t[0].x, t[1].x), t[2].x), GRID), last);
    const int64_t y0 = most(floor_div(least(least(t[0].y, t[1].y), t[2].y), GRID), 0);
    const int64_t y1 = least(floor_div(most(most(t[0].y, t[1].y), t[2].y), GRID), last);
    for (int64_t y = y0; y <= y1; y++) {
        int64_t from = x0, to = x1;
        for (int i = 0; i < 3; i++) {
            const int64_t rest = e[i].b * y + e[i].c;
            if (e[i].a > 0)
                from = most(from, -floor_div(rest, e[i].a));
            else if (e[i].a < 0)
                to = least(to, floor_div(rest, -e[i].a));
            else if (rest < 0)
                to = -1;
        }
        fill_row(v, (int32_t)y, from, to, &depth, ink);
    }
}

/* What a corner's normal gives: light, or itself in the camera's axes. */
static void ink_of(const canvas *v, const camera *c, const kn_shot *s, const float *normal, int turned,
                   float out[3])
{
    const float sign = turned ? -1.0f : 1.0f;
    if (v->channels == 1) {
        out[0] = light_of(c, s, normal, turned);
    } else if (v->channels == 3) {
        out[0] = sign * dot(normal, c->right);
        out[1] = sign * dot(normal, c->up);
        out[2] = sign * dot(normal, c->back);
    }
}

static void draw_triangle(canvas *v, const camera *c, const kn_shot *shot, const kn_shape *s,
                          size_t i)
{
    spot t[3] = { 0 };
    for (int k = 0; k < 3; k++)
        place(c, s->points + 9 * i + 3 * k, &t[k]);
    const int64_t twice = (t[1].x - t[0].x) * (t[2].y - t[0].y)
                          - (t[2].x - t[0].x) * (t[1].y - t[0].y);
    const int turned = twice > 0; /* y runs down: fronts are negative */
    if (!twice || (turned && s->closed))
        return;
    for (int k = 0; k < 3; k++)
        ink_of(v, c, shot, s->normals + 9 * i + 3 * k, turned, t[k].ink);
    if (!turned) {
        const spot swap = t[1];
        t[1] = t[2];
        t[2] = swap;
    }
    fill_triangle(v, t, (double)(turned ? twice : -twice) / (GRID * GRID));
}

/* ---- pixels ---- */

float kn_linear(uint8_t v)
{
    return (float)v / 255 * ((float)v / 255);
}

/* Light is added up, then brought to sRGB, whose curve is taken for a square root. */
static void resolve(const canvas *v, const kn_shot *s, uint8_t *rgb, uint8_t *cover)
{
    const uint32_t n = s->samples, side = (uint32_t)v->side;
    const float share = 1.0f / (float)(n * n);
    float ink[3], paper[3];
    for (int c = 0; c < 3; c++) {
        ink[c] = kn_linear(s->colour[c]);
        paper[c] = kn_linear(s->background[c]);
    }
    for (uint32_t y = 0; y < s->size; y++)
        for (uint32_t x = 0; x < s->size; x++) {
            float sum = 0, covered = 0;
            for (uint32_t j = 0; j < n * n; j++) {
                const size_t i = (size_t)(y * n + j / n) * side + x * n + j % n;
                sum += v->channels ? v->ink[i] : 0;
                covered += v->depth[i] > 0 ? 1.0f : 0.0f;
            }
            const size_t i = (size_t)y * s->size + x;
            for (int c = 0; v->channels && c < 3; c++) {
                const float mixed = sum * share * ink[c] + (1 - covered * share) * paper[c];
                rgb[3 * i + (size_t)c] = (uint8_t)(sqrtf(mixed) * 255 + .5f);
            }
            if (cover)
                cover[i] = (uint8_t)(covered * share * 255 + .5f);
        }
}

/* v->depth is the caller's to free. */
static ken_status draw(canvas *v, const kn_shape *s, const kn_shot *shot, int channels)
{
    camera c;
    ken_status st = set_camera(&c, shot);
    if (st)
        return st;
    const size_t side = (size_t)shot->size * shot->samples;
    *v = (canvas){ .side = (int32_t)side, .channels = channels };
    v->depth = kn_zalloc(side * side, (1 + (size_t)channels) * sizeof *v->depth);
    if (!v->depth)
        return KEN_E_NOMEM;
    v->ink = v->depth + side * side;
    for (size_t i = 0; i < s->n; i++)
        draw_triangle(v, &c, shot, s, i);
    return KEN_OK;
}

ken_status kn_shape_render(const kn_shape *s, const kn_shot *shot, uint8_t *rgb, uint8_t *cover)
{
    canvas v = { 0 };
    const ken_status st = draw(&v, s, shot, rgb ? 1 : 0);
    if (!st)
        resolve(&v, shot, rgb, cover);
    kn_free(v.depth);
    return st;
}

ken_status kn_shape_normals(const kn_shape *s, const kn_shot *shot, float *normals, uint8_t *cover)
{
    canvas v = { 0 };
    const size_t n = (size_t)shot->size * shot->size;
    ken_status st = shot->samples == 1 ? draw(&v, s, shot, 3)
                                       : kn_fail(KEN_E_INVALID, "kn_shape_normals: one sample a pixel");
    if (!st)
        memcpy(normals, v.ink, 3 * n * sizeof *normals);
    for (size_t i = 0; !st && i < n; i++)
        cover[i] = v.depth[i] > 0 ? 255 : 0;
    kn_free(v.depth);
    return st;
}
