/* outline.c - see outline.h. */
#include "mesh/outline.h"

#include "base/alloc.h"
#include "base/error.h"
#include "kernels/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    REACH = 3,  /* directions are whole numbers up to it */
    COARSE = 64 /* pixels a side of what is drawn from everywhere */
};
static const double SPAN = 2.3; /* of a frame's half side, in root mean square radii of the outline */

/* ---- the picture ---- */

/* One grey value a pixel, and how much of it the thing covers. */
typedef struct field {
    uint32_t side;
    float *grey;  /* linear */
    float *cover; /* 0..1 */
} field;

static int by_size(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static int is_border(uint32_t x, uint32_t y, uint32_t side)
{
    return x < 2 || y < 2 || x >= side - 2 || y >= side - 2;
}

/* The middle one of the border's values. */
static float border_median(const float *v, uint32_t side, float *scratch)
{
    size_t n = 0;
    for (uint32_t y = 0; y < side; y++)
        for (uint32_t x = 0; x < side; x++)
            if (is_border(x, y, side))
                scratch[n++] = v[y * side + x];
    qsort(scratch, n, sizeof *scratch, by_size);
    return scratch[n / 2];
}

static float mean9(const float *v, uint32_t x, uint32_t y, uint32_t side)
{
    float sum = 0;
    int n = 0;
    for (uint32_t j = y ? y - 1 : 0; j <= y + 1 && j < side; j++)
        for (uint32_t i = x ? x - 1 : 0; i <= x + 1 && i < side; i++, n++)
            sum += v[j * side + i];
    return sum / (float)n;
}

/* Pixels whose surroundings differ from the border's colour by more than its own unrest. */
static void separate(field *f, const uint8_t *rgb, float *scratch)
{
    const uint32_t side = f->side, n = side * side;
    float *away = f->cover, *value = scratch, *spare = scratch + n;
    memset(away, 0, n * sizeof *away);
    for (int c = 0; c < 3; c++) {
        for (uint32_t i = 0; i < n; i++)
            value[i] = rgb[3 * i + (uint32_t)c];
        const float middle = border_median(value, side, spare);
        for (uint32_t i = 0; i < n; i++) {
            const float d = mean9(value, i % side, i / side, side) - middle;
            away[i] = fmaxf(away[i], fabsf(d));
        }
    }
    const float unrest = border_median(away, side, spare), least = fmaxf(7, 4 * unrest);
    for (uint32_t i = 0; i < n; i++) {
        away[i] = away[i] > least ? 1.0f : 0.0f;
        f->grey[i] = (kn_linear(rgb[3 * i]) + kn_linear(rgb[3 * i + 1]) + kn_linear(rgb[3 * i + 2])) / 3;
    }
}

static int measure(const float *cover, uint32_t side, kn_extent *out)
{
    double n = 0, x = 0, y = 0, square = 0;
    for (uint32_t j = 0; j < side; j++) {
        double row = 0, along = 0, squares = 0;
        for (uint32_t i = 0; i < side; i++) {
            const double c = (double)cover[j * side + i], d = i;
            row += c;
            along += c * d;
            squares += c * d * d;
        }
        n += row;
        x += along;
        y += row * j;
        square += squares + row * j * j;
    }
    if (n < 12)
        return 0;
    x /= n;
    y /= n;
    *out = (kn_extent){ x, y, sqrt(fmax(square / n - x * x - y * y, 0)) };
    return 1;
}

/* ---- frames ---- */

static float sample(const float *v, uint32_t side, double x, double y, float outside)
{
    const double fx = floor(x), fy = floor(y);
    float sum = 0;
    for (int j = 0; j < 2; j++)
        for (int i = 0; i < 2; i++) {
            const double px = fx + i, py = fy + j;
            const double w = (1 - fabs(x - px)) * (1 - fabs(y - py));
            const int in = px >= 0 && py >= 0 && px < side && py < side;
            sum += (float)w * (in ? v[(size_t)py * side + (size_t)px] : outside);
        }
    return sum;
}

/* The surroundings of a thing, turned by the angle whose sine and cosine are given. */
static void frame(const float *v, uint32_t side, const kn_extent *e, double sine, double cosine,
                  float outside, float *out)
{
    const double step = 2 * SPAN * e->radius / KN_FRAME;
    for (int j = 0; j < KN_FRAME; j++)
        for (int i = 0; i < KN_FRAME; i++) {
            const double x = (i - (KN_FRAME - 1) / 2.0) * step, y = (j - (KN_FRAME - 1) / 2.0) * step;
            out[j * KN_FRAME + i] = sample(v, side, e->x + cosine * x - sine * y,
                                        e->y + sine * x + cosine * y, outside);
        }
}

/* The same without a turn: rows and columns of samples are those of pixels. */
static void straight_frame(const float *v, uint32_t side, const kn_extent *e, float *out)
{
    const double step = 2 * SPAN * e->radius / KN_FRAME, half = (KN_FRAME - 1) / 2.0;
    int column[KN_FRAME];
    float share[KN_FRAME];
    for (int i = 0; i < KN_FRAME; i++) {
        const double x = e->x + (i - half) * step, left = floor(fmin(fmax(x, -2), side + 1));
        column[i] = (int)left;
        share[i] = (float)(x - left);
    }
    for (int j = 0; j < KN_FRAME; j++) {
        const double y = e->y + (j - half) * step, top = floor(fmin(fmax(y, -2), side + 1));
        const float down = (float)(y - top), *row[2];
        for (int k = 0; k < 2; k++)
            row[k] = top + k >= 0 && top + k < side ? v + (size_t)(top + k) * side : NULL;
        for (int i = 0; i < KN_FRAME; i++) {
            float sum[2] = { 0 };
            for (int k = 0; k < 2; k++) {
                const int a = column[i], b = a + 1;
                if (row[k] && a >= 0 && a < (int)side)
                    sum[k] += (1 - share[i]) * row[k][a];
                if (row[k] && b >= 0 && b < (int)side)
                    sum[k] += share[i] * row[k][b];
            }
            out[j * KN_FRAME + i] = (1 - down) * sum[0] + down * sum[1];
        }
    }
}

static void pack(kn_outline *o, const float *cover)
{
    memset(o, 0, sizeof *o);
    for (int i = 0; i < KN_FRAME * KN_FRAME; i++) {
        const int set = cover[i] > .5f;
        o->bits[i / 8] |= (uint8_t)(set << i % 8);
        o->n += (uint32_t)set;
    }
}

/* What both cover over what either does.  Bits that differ are those that only one has. */
static float overlap_bits(const kn_outline *a, const kn_outline *b)
{
    const uint32_t apart = kn_kernels_get()->hamming(a->bits, b->bits, KN_OUTLINE_BYTES);
    const uint32_t both = (a->n + b->n - apart) / 2, either = both + apart;
    return either ? (float)both / (float)either : 0;
}

static float overlap(const float *a, const float *b)
{
    float both = 0, either = 0;
    for (int i = 0; i < KN_FRAME * KN_FRAME; i++) {
        both += a[i] < b[i] ? a[i] : b[i];
        either += a[i] > b[i] ? a[i] : b[i];
    }
    return either > 0 ? both / either : 0;
}

/* What the frame's background varies by is noise. */
static double noise_of(const kn_thing *t)
{
    double n = 0, sum = 0, squares = 0;
    for (int i = 0; i < KN_FRAME * KN_FRAME; i++)
        if (t->cover[i] < .01f) {
            n++;
            sum += (double)t->grey[i];
            squares += (double)t->grey[i] * (double)t->grey[i];
        }
    return n > 50 ? fmax(squares / n - sum / n * (sum / n), 0) : 0;
}

ken_status kn_thing_find(kn_thing *out, const uint8_t *rgb, uint32_t side)
{
    if (!out || !rgb || side < 32 || side > 512)
        return kn_fail(KEN_E_INVALID, "a picture of %u pixels a side", side);
    const size_t n = (size_t)side * side;
    kn_extent at;
    float turned[KN_FRAME * KN_FRAME], *room = kn_alloc(4 * n, sizeof *room);
    if (!room)
        return KEN_E_NOMEM;
    field f = { side, room, room + n };
    separate(&f, rgb, room + 2 * n);
    if (!measure(f.cover, side, &at)) {
        kn_free(room);
        return kn_fail(KEN_E_FORMAT, "nothing stands out from the picture's background");
    }
    frame(f.cover, side, &at, 0, 1, 0, out->cover);
    frame(f.grey, side, &at, 0, 1, border_median(f.grey, side, room + 2 * n), out->grey);
    out->noise = noise_of(out);
    for (int t = 0; t < KN_TURNS; t++) {
        const double angle = 2 * M_PI * t / KN_TURNS;
        frame(f.cover, side, &at, sin(angle), cos(angle), 0, turned);
        pack(&out->turned[t], turned);
    }
    kn_free(room);
    return KEN_OK;
}

/* ---- drawing ---- */

static void cross(float out[3], const float *a, const float *b)
{
    for (int i = 0; i < 3; i++)
        out[i] = a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3];
}

static void to_unit(float v[3])
{
    const float len = sqrtf(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    for (int i = 0; i < 3; i++)
        v[i] /= len;
}

ken_status kn_canvas_new(kn_canvas *c, uint32_t side, int normals)
{
    const size_t n = (size_t)side * side;
    *c = (kn_canvas){ side, kn_alloc(n, 1), kn_alloc(n, sizeof(float)), NULL };
    c->normals = normals ? kn_alloc(n, 3 * sizeof(float)) : NULL;
    if (c->mask && c->values && (c->normals || !normals))
        return KEN_OK;
    kn_canvas_release(c);
    return KEN_E_NOMEM;
}

void kn_canvas_release(kn_canvas *c)
{
    kn_free(c->mask);
    kn_free(c->values);
    kn_free(c->normals);
    *c = (kn_canvas){ 0 };
}

void kn_canvas_frame(const kn_canvas *c, const kn_extent *e, float *out)
{
    straight_frame(c->values, c->side, e, out);
}

static void pose_shot(const kn_pose *p, uint32_t side, kn_shot *shot)
{
    kn_shot_init(shot);
    memcpy(shot->eye, p->eye, sizeof shot->eye);
    memcpy(shot->up, p->up, sizeof shot->up);
    shot->perspective = p->perspective;
    shot->size = side;
    shot->samples = 1;
}

ken_status kn_pose_draw(kn_canvas *c, const kn_shape *s, const kn_pose *p, float *out, kn_extent *e)
{
    const uint32_t side = c->side;
    kn_shot shot;
    pose_shot(p, side, &shot);
    ken_status st = c->normals ? kn_shape_normals(s, &shot, c->normals, c->mask)
                               : kn_shape_render(s, &shot, NULL, c->mask);
    if (st)
        return st;
    for (uint32_t i = 0; i < side * side; i++)
        c->values[i] = (float)c->mask[i] / 255;
    if (!measure(c->values, side, e))
        *e = (kn_extent){ side / 2.0, side / 2.0, side / 4.0 };
    e->x += (double)p->shift[0] * e->radius;
    e->y += (double)p->shift[1] * e->radius;
    e->radius *= 1 + (double)p->zoom;
    kn_canvas_frame(c, e, out);
    return KEN_OK;
}

/* ---- every direction, every turn ---- */

/* Direction i of the surface of a cube. */
static void direction(int i, kn_pose *p)
{
    int n = 0;
    for (int x = -REACH; x <= REACH; x++)
        for (int y = -REACH; y <= REACH; y++)
            for (int z = -REACH; z <= REACH; z++) {
                if (abs(x) < REACH && abs(y) < REACH && abs(z) < REACH)
                    continue;
                if (n++ != i)
                    continue;
                const int pole = !x && !y;
                *p = (kn_pose){ .eye = { (float)x, (float)y, (float)z },
                                .up = { 0, pole ? 1.0f : 0, pole ? 0 : 1.0f },
                                .perspective = .25f };
            }
}

ken_status kn_outlines_draw(kn_outlines *out, const kn_shape *s)
{
    float cover[KN_FRAME * KN_FRAME];
    kn_pose p = { 0 };
    kn_canvas c;
    kn_extent e;
    ken_status st = kn_canvas_new(&c, COARSE, 0);
    for (int i = 0; !st && i < KN_DIRECTIONS; i++) {
        direction(i, &p);
        st = kn_pose_draw(&c, s, &p, cover, &e);
        if (!st)
            pack(&out->from[i], cover);
    }
    kn_canvas_release(&c);
    return st;
}

/* A turn of the picture by some angle is one of the camera the other way. */
static void turn(kn_pose *p, double angle)
{
    float right[3], up[3];
    to_unit(p->eye);
    cross(right, p->up, p->eye);
    to_unit(right);
    cross(up, p->eye, right);
    to_unit(up);
    for (int i = 0; i < 3; i++)
        p->up[i] = (float)(cos(angle) * (double)up[i] + sin(angle) * (double)right[i]);
}

static size_t keep(kn_pose *best, size_t n, size_t most, const kn_pose *p)
{
    size_t at = n;
    while (at > 0 && best[at - 1].score < p->score)
        at--;
    if (at == most)
        return n;
    n += n < most;
    memmove(best + at + 1, best + at, (n - at - 1) * sizeof *p);
    best[at] = *p;
    return n;
}

size_t kn_outlines_match(const kn_outlines *o, const kn_thing *t, kn_pose *best, size_t most)
{
    size_t n = 0;
    for (int i = 0; i < KN_DIRECTIONS; i++) {
        int at = 0;
        float score = -1;
        for (int k = 0; k < KN_TURNS; k++) {
            const float s = overlap_bits(&o->from[i], &t->turned[k]);
            if (s > score) {
                score = s;
                at = k;
            }
        }
        if (n == most && score <= best[n - 1].score)
            continue;
        kn_pose p = { 0 };
        direction(i, &p);
        turn(&p, -2 * M_PI * at / KN_TURNS);
        p.score = score;
        n = keep(best, n, most, &p);
    }
    return n;
}

/* ---- closer ---- */

/* A step along one of the freedoms: two of the eye, the turn, the perspective, two shifts, the size. */
enum { FREEDOMS = 7 };
static void step(kn_pose *p, int freedom, float by)
{
    float right[3];
    cross(right, p->up, p->eye);
    to_unit(right);
    if (freedom == 3) {
        p->perspective += 2 * by;
        p->perspective = p->perspective < .02f ? .02f : p->perspective > .6f ? .6f : p->perspective;
        return;
    }
    if (freedom > 3) {
        *(freedom == 6 ? &p->zoom : &p->shift[freedom - 4]) += by / 2;
        return;
    }
    for (int i = 0; i < 3; i++)
        if (freedom == 2)
            p->up[i] += by * right[i];
        else
            p->eye[i] += by * (freedom == 0 ? right[i] : p->up[i]);
    to_unit(p->eye);
    /* up stays at a right angle to eye */
    float side[3];
    cross(side, p->up, p->eye);
    cross(p->up, p->eye, side);
    to_unit(p->up);
}

ken_status kn_pose_refine(kn_pose *p, kn_pose_score *score, void *cookie, float first, float last)
{
    ken_status st = score(cookie, p);
    for (float size = first; !st && size >= last; size /= 2) {
        int moved = 1;
        for (int round = 0; !st && moved && round < 2; round++) {
            moved = 0;
            for (int i = 0; !st && i < 2 * FREEDOMS; i++) {
                kn_pose other = *p;
                step(&other, i / 2, i % 2 ? size : -size);
                st = score(cookie, &other);
                if (!st && other.score > p->score) {
                    *p = other;
                    moved = 1;
                }
            }
        }
    }
    return st;
}

/* By outline. */
typedef struct held {
    kn_canvas *c;
    const kn_shape *s;
    const kn_thing *t;
} held;

static ken_status by_outline(void *cookie, kn_pose *p)
{
    const held *h = cookie;
    float out[KN_FRAME * KN_FRAME];
    kn_extent e;
    ken_status st = kn_pose_draw(h->c, h->s, p, out, &e);
    if (!st)
        p->score = overlap(out, h->t->cover);
    return st;
}

ken_status kn_outline_score(kn_canvas *c, const kn_shape *s, const kn_thing *t, kn_pose *p)
{
    held h = { c, s, t };
    return by_outline(&h, p);
}

ken_status kn_outline_refine(kn_canvas *c, const kn_shape *s, const kn_thing *t, kn_pose *p,
                             float first, float last)
{
    held h = { c, s, t };
    return kn_pose_refine(p, by_outline, &h, first, last);
}
