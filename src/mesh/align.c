/* align.c - see align.h. */
#include "mesh/align.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    FINE = 96, /* pixels a side of what is drawn */
    KEPT = 48, OUTLINED = 4, LIT = 8, LAST = 3,
    LIGHTS = 5, TERMS = LIGHTS + 2,
    PIXELS = KN_FRAME * KN_FRAME
};

typedef struct aligner {
    const kn_shape *s;
    kn_canvas canvas;
    kn_thing thing;
    kn_outlines outlines;
    float frames[TERMS][PIXELS];
    kn_pose best[KEPT];
    size_t n;
} aligner;

/* ---- light ---- */

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
    for (int p = 0; p < PIXELS; p++) {
        sum += (double)a->thing.grey[p];
        total += (double)a->thing.grey[p] * (double)a->thing.grey[p];
        for (int i = 0; i < TERMS; i++) {
            b[i] += (double)a->frames[i][p] * (double)a->thing.grey[p];
            for (int j = 0; j <= i; j++)
                m[i][j] += (double)a->frames[i][p] * (double)a->frames[j][p];
        }
    }
    solve(m, b);
    for (int p = 0; p < PIXELS; p++) {
        double d = (double)a->thing.grey[p];
        for (int i = 0; i < TERMS; i++)
            d -= b[i] * (double)a->frames[i][p];
        left += d * d;
    }
    const double n = PIXELS, variance = total / n - sum / n * (sum / n);
    left = fmax(left / n - a->thing.noise, 0);
    return variance > 1e-9 ? (float)fmax(1 - left / variance, 0) : 0;
}

static ken_status by_light(void *cookie, kn_pose *p)
{
    aligner *a = cookie;
    kn_canvas *c = &a->canvas;
    static const float lights[LIGHTS][3] = {
        { 1, 0, 0 }, { -1, 0, 0 }, { 0, 1, 0 }, { 0, -1, 0 }, { 0, 0, 1 }
    };
    kn_extent e;
    ken_status st = kn_pose_draw(c, a->s, p, a->frames[LIGHTS], &e);
    for (int i = 0; !st && i < LIGHTS; i++) {
        for (uint32_t x = 0; x < c->side * c->side; x++) {
            const float *n = c->normals + 3 * x, *l = lights[i];
            c->values[x] = fmaxf(n[0] * l[0] + n[1] * l[1] + n[2] * l[2], 0);
        }
        kn_canvas_frame(c, &e, a->frames[i]);
    }
    for (int x = 0; !st && x < PIXELS; x++)
        a->frames[LIGHTS + 1][x] = 1 - a->frames[LIGHTS][x];
    if (!st)
        p->score = explained(a);
    return st;
}

/* ---- all of it ---- */

static int best_first(const void *x, const void *y)
{
    const float a = ((const kn_pose *)x)->score, b = ((const kn_pose *)y)->score;
    return (a < b) - (a > b);
}

/* The best by outline are brought closer by it; and of all that are kept those that light explains best
 * go on as they are: the outline of something thin says little. */
static ken_status finish(aligner *a, kn_alignment *out)
{
    kn_canvas plain = a->canvas; /* for outlines, which need no normals */
    plain.normals = NULL;
    kn_pose list[OUTLINED + LIT], *lit = list + OUTLINED;
    const size_t outlined = a->n < OUTLINED ? a->n : OUTLINED, more = a->n < LIT ? a->n : LIT;
    ken_status st = KEN_OK;
    for (size_t i = 0; !st && i < outlined; i++) {
        list[i] = a->best[i];
        st = kn_outline_refine(&plain, a->s, &a->thing, &list[i], .1f, .025f);
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
        st = kn_pose_refine(&lit[i], by_light, a, .12f, .06f);
    }
    memmove(list + outlined, lit, more * sizeof *lit);
    qsort(list, outlined + more, sizeof *list, best_first);
    for (size_t i = 0; !st && i < LAST && i < outlined + more; i++)
        st = kn_pose_refine(&list[i], by_light, a, .03f, .00375f);
    if (st)
        return st;
    qsort(list, outlined + more, sizeof *list, best_first);
    kn_pose p = list[0];
    out->agreement = p.score;
    st = kn_outline_score(&plain, a->s, &a->thing, &p);
    out->outline = p.score;
    kn_shot_init(&out->shot);
    memcpy(out->shot.eye, p.eye, sizeof p.eye);
    memcpy(out->shot.up, p.up, sizeof p.up);
    out->shot.perspective = p.perspective;
    return st;
}

ken_status kn_align(const kn_shape *s, const uint8_t *rgb, uint32_t side, kn_alignment *out)
{
    if (!s || !out)
        return kn_fail(KEN_E_INVALID, "kn_align: a NULL argument");
    aligner *a = kn_zalloc(1, sizeof *a);
    if (!a)
        return KEN_E_NOMEM;
    a->s = s;
    ken_status st = kn_thing_find(&a->thing, rgb, side);
    if (!st)
        st = kn_outlines_draw(&a->outlines, s);
    if (!st)
        st = kn_canvas_new(&a->canvas, FINE, 1);
    if (!st) {
        a->n = kn_outlines_match(&a->outlines, &a->thing, a->best, KEPT);
        st = finish(a, out);
    }
    kn_canvas_release(&a->canvas);
    kn_free(a);
    return st;
}
