/* align.c - see align.h. */
#include "mesh/align.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    FRAME = 56,            /* pixels a side of what is compared */
    WORDS = FRAME * FRAME / 64,
    TURNS = 24,            /* of the picture, in the first search */
    REACH = 3,             /* directions are whole numbers up to it */
    COARSE = 64, FINE = 96, /* pixels a side of what is drawn */
    KEPT = 48, OUTLINED = 4, LIT = 8, LAST = 3,
    LIGHTS = 5, TERMS = LIGHTS + 2
};
static const double SPAN = 2.3; /* of a frame's half side, in root mean square radii of the outline */

/* One grey value a pixel, and how much of it the thing covers. */
typedef struct field {
    uint32_t side;
    float *grey;  /* linear */
    float *cover; /* 0..1 */
} field;

/* Where a thing lies in a field. */
typedef struct extent {
    double x, y, radius; /* centroid; root mean square distance from it */
} extent;

typedef struct guess {
    float eye[3], up[3], perspective;
    float shift[2], zoom; /* of what is drawn, beyond bringing centroid and radius together; in radii */
    float score;
} guess;

typedef struct aligner {
    const kn_shape *s;
    field picture;
    extent at;
    double noise; /* variance of grey in a frame, of what is no signal */
    float grey[FRAME * FRAME], cover[FRAME * FRAME]; /* the picture's frame */
    uint64_t turned[TURNS][WORDS];
    uint8_t *rgb, *mask; /* (FINE, FINE, 3) and (FINE, FINE) */
    float *values;       /* (FINE, FINE) */
    float frames[TERMS][FRAME * FRAME];
    guess best[KEPT];
    size_t n;
} aligner;

/* ---- the picture ---- */

static float linear(uint8_t v)
{
    return (float)v / 255 * ((float)v / 255);
}

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
static ken_status find_thing(field *f, const uint8_t *rgb, float *scratch)
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
        f->grey[i] = (linear(rgb[3 * i]) + linear(rgb[3 * i + 1]) + linear(rgb[3 * i + 2])) / 3;
    }
    return KEN_OK;
}

static int measure(const float *cover, uint32_t side, extent *out)
{
    double n = 0, x = 0, y = 0, r = 0;
    for (uint32_t i = 0; i < side * side; i++) {
        const double c = (double)cover[i];
        n += c;
        x += c * (i % side);
        y += c * (double)(i / side);
    }
    if (n < 12)
        return 0;
    x /= n;
    y /= n;
    for (uint32_t i = 0; i < side * side; i++)
        r += (double)cover[i]
             * ((i % side - x) * (i % side - x) + ((double)(i / side) - y) * ((double)(i / side) - y));
    *out = (extent){ x, y, sqrt(r / n) };
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
static void frame(const float *v, uint32_t side, const extent *e, double sine, double cosine,
                  float outside, float *out)
{
    const double step = 2 * SPAN * e->radius / FRAME;
    for (int j = 0; j < FRAME; j++)
        for (int i = 0; i < FRAME; i++) {
            const double x = (i - (FRAME - 1) / 2.0) * step, y = (j - (FRAME - 1) / 2.0) * step;
            out[j * FRAME + i] = sample(v, side, e->x + cosine * x - sine * y,
                                        e->y + sine * x + cosine * y, outside);
        }
}

static void pack(const float *cover, uint64_t *bits)
{
    memset(bits, 0, WORDS * sizeof *bits);
    for (int i = 0; i < FRAME * FRAME; i++)
        bits[i / 64] |= (uint64_t)(cover[i] > .5f) << i % 64;
}

static float overlap_bits(const uint64_t *a, const uint64_t *b)
{
    int both = 0, either = 0;
    for (int i = 0; i < WORDS; i++) {
        both += __builtin_popcountll(a[i] & b[i]);
        either += __builtin_popcountll(a[i] | b[i]);
    }
    return either ? (float)both / (float)either : 0;
}

static float overlap(const float *a, const float *b)
{
    float both = 0, either = 0;
    for (int i = 0; i < FRAME * FRAME; i++) {
        both += a[i] < b[i] ? a[i] : b[i];
        either += a[i] > b[i] ? a[i] : b[i];
    }
    return either > 0 ? both / either : 0;
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

static void set_shot(kn_shot *shot, const guess *g, uint32_t side)
{
    kn_shot_init(shot);
    memcpy(shot->eye, g->eye, sizeof shot->eye);
    memcpy(shot->up, g->up, sizeof shot->up);
    shot->perspective = g->perspective;
    shot->size = side;
    shot->samples = 1;
}

/* The outline of a guess, in a frame; and where it lies among the drawn pixels. */
static ken_status draw_outline(aligner *a, const guess *g, uint32_t side, float *out, extent *e)
{
    kn_shot shot;
    set_shot(&shot, g, side);
    ken_status st = kn_shape_render(a->s, &shot, a->rgb, a->mask);
    if (st)
        return st;
    for (uint32_t i = 0; i < side * side; i++)
        a->values[i] = (float)a->mask[i] / 255;
    if (!measure(a->values, side, e))
        *e = (extent){ side / 2.0, side / 2.0, side / 4.0 };
    e->x += (double)g->shift[0] * e->radius;
    e->y += (double)g->shift[1] * e->radius;
    e->radius *= 1 + (double)g->zoom;
    frame(a->values, side, e, 0, 1, 0, out);
    return KEN_OK;
}

static void keep(aligner *a, const guess *g)
{
    size_t at = a->n;
    while (at > 0 && a->best[at - 1].score < g->score)
        at--;
    if (at == KEPT)
        return;
    a->n += a->n < KEPT;
    memmove(a->best + at + 1, a->best + at, (a->n - at - 1) * sizeof *g);
    a->best[at] = *g;
}

/* ---- the first search: every direction, every turn, by outline ---- */

/* A turn of the picture by some angle is one of the camera the other way. */
static void turn(guess *g, double sine, double cosine)
{
    float right[3], up[3];
    cross(right, g->up, g->eye);
    to_unit(right);
    cross(up, g->eye, right);
    to_unit(up);
    for (int i = 0; i < 3; i++)
        g->up[i] = (float)(cosine * (double)up[i] + sine * (double)right[i]);
}

static ken_status try_direction(aligner *a, int x, int y, int z)
{
    float out[FRAME * FRAME];
    uint64_t bits[WORDS];
    extent e;
    guess g = { .eye = { (float)x, (float)y, (float)z }, .up = { 0, 0, 1 }, .perspective = .25f };
    if (!x && !y) {
        g.up[1] = 1;
        g.up[2] = 0;
    }
    ken_status st = draw_outline(a, &g, COARSE, out, &e);
    if (st)
        return st;
    pack(out, bits);
    int best = 0;
    for (int t = 0; t < TURNS; t++) {
        const float score = overlap_bits(bits, a->turned[t]);
        if (t == 0 || score > g.score) {
            g.score = score;
            best = t;
        }
    }
    to_unit(g.eye);
    turn(&g, -sin(2 * M_PI * best / TURNS), cos(2 * M_PI * best / TURNS));
    keep(a, &g);
    return KEN_OK;
}

static ken_status search(aligner *a)
{
    ken_status st = KEN_OK;
    for (int t = 0; t < TURNS; t++) {
        float out[FRAME * FRAME];
        const double angle = 2 * M_PI * t / TURNS;
        frame(a->picture.cover, a->picture.side, &a->at, sin(angle), cos(angle), 0, out);
        pack(out, a->turned[t]);
    }
    for (int x = -REACH; !st && x <= REACH; x++)
        for (int y = -REACH; !st && y <= REACH; y++)
            for (int z = -REACH; !st && z <= REACH; z++)
                if (abs(x) == REACH || abs(y) == REACH || abs(z) == REACH)
                    st = try_direction(a, x, y, z);
    return st;
}

/* ---- refining ---- */

typedef ken_status score_fn(aligner *a, guess *g);

static ken_status by_outline(aligner *a, guess *g)
{
    float out[FRAME * FRAME];
    extent e;
    ken_status st = draw_outline(a, g, FINE, out, &e);
    if (!st)
        g->score = overlap(out, a->cover);
    return st;
}

/* n normal equations, by Cholesky with a little weight on small solutions. */
static void solve(double m[TERMS][TERMS], double *b)
{
    for (int i = 0; i < TERMS; i++)
        m[i][i] += 1e-3 + 1e-6 * m[i][i];
    for (int i = 0; i < TERMS; i++)
        for (int j = 0; j <= i; j++) {
            double sum = m[i][j];
            for (int k = 0; k < j; k++)
                sum -= m[i][k] * m[j][k];
            m[i][j] = i == j ? sqrt(fmax(sum, 1e-12)) : sum / m[j][j];
        }
    for (int i = 0; i < TERMS; i++) {
        for (int k = 0; k < i; k++)
            b[i] -= m[i][k] * b[k];
        b[i] /= m[i][i];
    }
    for (int i = TERMS; i-- > 0;) {
        for (int k = i + 1; k < TERMS; k++)
            b[i] -= m[k][i] * b[k];
        b[i] /= m[i][i];
    }
}

/* The share of the picture's variance that no sum of a->frames explains, less the noise. */
static float explained(const aligner *a)
{
    double m[TERMS][TERMS] = { { 0 } }, b[TERMS] = { 0 }, sum = 0, total = 0, left = 0;
    for (int p = 0; p < FRAME * FRAME; p++) {
        sum += (double)a->grey[p];
        total += (double)a->grey[p] * (double)a->grey[p];
        for (int i = 0; i < TERMS; i++) {
            b[i] += (double)a->frames[i][p] * (double)a->grey[p];
            for (int j = 0; j <= i; j++)
                m[i][j] += (double)a->frames[i][p] * (double)a->frames[j][p];
        }
    }
    solve(m, b);
    for (int p = 0; p < FRAME * FRAME; p++) {
        double d = (double)a->grey[p];
        for (int i = 0; i < TERMS; i++)
            d -= b[i] * (double)a->frames[i][p];
        left += d * d;
    }
    const double n = FRAME * FRAME, variance = total / n - sum / n * (sum / n);
    left = fmax(left / n - a->noise, 0);
    return variance > 1e-9 ? (float)fmax(1 - left / variance, 0) : 0;
}

static ken_status by_light(aligner *a, guess *g)
{
    static const float lights[LIGHTS][3] = {
        { 1, 0, 0 }, { -1, 0, 0 }, { 0, 1, 0 }, { 0, -1, 0 }, { 0, 0, 1 }
    };
    extent e;
    kn_shot shot;
    ken_status st = draw_outline(a, g, FINE, a->frames[LIGHTS], &e);
    for (int i = 0; !st && i < LIGHTS; i++) {
        set_shot(&shot, g, FINE);
        memcpy(shot.key, lights[i], sizeof shot.key);
        shot.key_strength = 1;
        shot.fill_strength = shot.ambient = 0;
        memset(shot.colour, 255, 3);
        memset(shot.background, 0, 3);
        st = kn_shape_render(a->s, &shot, a->rgb, NULL);
        for (uint32_t p = 0; !st && p < FINE * FINE; p++)
            a->values[p] = linear(a->rgb[3 * p]);
        if (!st)
            frame(a->values, FINE, &e, 0, 1, 0, a->frames[i]);
    }
    for (int p = 0; !st && p < FRAME * FRAME; p++)
        a->frames[LIGHTS + 1][p] = 1 - a->frames[LIGHTS][p];
    if (!st)
        g->score = explained(a);
    return st;
}

/* A step along one of the freedoms: two of the eye, the turn, the perspective, two shifts, the size. */
enum { FREEDOMS = 7 };
static void step(guess *g, int freedom, float by)
{
    float right[3];
    cross(right, g->up, g->eye);
    to_unit(right);
    if (freedom == 3) {
        g->perspective += 2 * by;
        g->perspective = g->perspective < .02f ? .02f : g->perspective > .6f ? .6f : g->perspective;
        return;
    }
    if (freedom > 3) {
        *(freedom == 6 ? &g->zoom : &g->shift[freedom - 4]) += by / 2;
        return;
    }
    for (int i = 0; i < 3; i++)
        if (freedom == 2)
            g->up[i] += by * right[i];
        else
            g->eye[i] += by * (freedom == 0 ? right[i] : g->up[i]);
    to_unit(g->eye);
    /* up stays at a right angle to eye */
    float side[3];
    cross(side, g->up, g->eye);
    cross(g->up, g->eye, side);
    to_unit(g->up);
}

static ken_status refine(aligner *a, guess *g, score_fn *score, float first, float last)
{
    ken_status st = score(a, g);
    for (float size = first; !st && size >= last; size /= 2) {
        int moved = 1;
        for (int round = 0; !st && moved && round < 2; round++) {
            moved = 0;
            for (int i = 0; !st && i < 2 * FREEDOMS; i++) {
                guess other = *g;
                step(&other, i / 2, i % 2 ? size : -size);
                st = score(a, &other);
                if (!st && other.score > g->score) {
                    *g = other;
                    moved = 1;
                }
            }
        }
    }
    return st;
}

/* ---- all of it ---- */

/* What the frame's background varies by is noise. */
static void find_noise(aligner *a)
{
    double n = 0, sum = 0, squares = 0;
    for (int i = 0; i < FRAME * FRAME; i++)
        if (a->cover[i] < .01f) {
            n++;
            sum += (double)a->grey[i];
            squares += (double)a->grey[i] * (double)a->grey[i];
        }
    a->noise = n > 50 ? fmax(squares / n - sum / n * (sum / n), 0) : 0;
}

static ken_status run(aligner *a, const uint8_t *rgb, float *scratch)
{
    ken_status st = find_thing(&a->picture, rgb, scratch);
    if (!st && !measure(a->picture.cover, a->picture.side, &a->at))
        st = kn_fail(KEN_E_FORMAT, "nothing stands out from the picture's background");
    if (st)
        return st;
    const float paper = border_median(a->picture.grey, a->picture.side, scratch);
    frame(a->picture.cover, a->picture.side, &a->at, 0, 1, 0, a->cover);
    frame(a->picture.grey, a->picture.side, &a->at, 0, 1, paper, a->grey);
    find_noise(a);
    return search(a);
}

static int best_first(const void *x, const void *y)
{
    const float a = ((const guess *)x)->score, b = ((const guess *)y)->score;
    return (a < b) - (a > b);
}

/* The best by outline are brought closer by it; and of all that are kept those that light explains best
 * go on as they are: the outline of something thin says little. */
static ken_status finish(aligner *a, kn_alignment *out)
{
    guess list[OUTLINED + LIT], *lit = list + OUTLINED;
    const size_t outlined = a->n < OUTLINED ? a->n : OUTLINED, more = a->n < LIT ? a->n : LIT;
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < outlined; i++) {
        list[i] = a->best[i];
        st = refine(a, &list[i], by_outline, .1f, .025f);
        if (!st)
            st = by_light(a, &list[i]);
    }
    for (size_t i = 0; !st && i < a->n; i++)
        st = by_light(a, &a->best[i]);
    if (st)
        return st;
    qsort(a->best, a->n, sizeof *a->best, best_first);
    for (size_t i = 0; !st && i < more; i++) {
        lit[i] = a->best[i];
        st = refine(a, &lit[i], by_light, .12f, .06f);
    }
    memmove(list + outlined, lit, more * sizeof *lit);
    qsort(list, outlined + more, sizeof *list, best_first);
    for (size_t i = 0; !st && i < LAST && i < outlined + more; i++)
        st = refine(a, &list[i], by_light, .03f, .00375f);
    if (st)
        return st;
    qsort(list, outlined + more, sizeof *list, best_first);
    guess g = list[0];
    out->agreement = g.score;
    st = by_outline(a, &g);
    out->outline = g.score;
    kn_shot_init(&out->shot);
    memcpy(out->shot.eye, g.eye, sizeof g.eye);
    memcpy(out->shot.up, g.up, sizeof g.up);
    out->shot.perspective = g.perspective;
    return st;
}

ken_status kn_align(const kn_shape *s, const uint8_t *rgb, uint32_t side, kn_alignment *out)
{
    if (!s || !rgb || !out || side < 32 || side > 512)
        return kn_fail(KEN_E_INVALID, "kn_align: a picture of %u pixels a side", side);
    const size_t n = (size_t)side * side;
    aligner *a = kn_zalloc(1, sizeof *a);
    float *room = kn_alloc(4 * n + FINE * FINE, sizeof *room);
    uint8_t *drawn = kn_alloc(FINE * FINE, 4);
    ken_status st = a && room && drawn ? KEN_OK : KEN_E_NOMEM;
    if (!st) {
        a->s = s;
        a->picture = (field){ side, room, room + n };
        a->values = room + 4 * n;
        a->rgb = drawn;
        a->mask = drawn + 3 * FINE * FINE;
        st = run(a, rgb, room + 2 * n);
    }
    if (!st)
        st = finish(a, out);
    kn_free(a);
    kn_free(room);
    kn_free(drawn);
    return st;
}
