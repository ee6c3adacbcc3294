/*
 * explain_regions.c - pairs of places to maps over whole pictures, to regions.
 *
 * Between the places' middles a map is interpolated, beyond the outermost it stays as it is, and
 * where the crop leaves cells out it is 0.  What is positive, and what is negative, is scaled to
 * have the sum that it has over the places: a map's sum is the pairs' sum.
 */
#include "engine/explain.h"

#include "base/alloc.h"
#include "base/error.h"
#include "image/fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double CARRIES = 0.7; /* share of what speaks for the match that regions are to hold */

/* ---- from places to cells ---- */

/* n places whose middles begin at `first`, `step` apart, in a crop of `crop` pixels that begins at `left` of
 * a picture of `all`: w (grid, n). */
typedef struct axis {
    uint32_t n, crop, all;
    int32_t left;
    double first, step;
} axis;

static void spread_axis(const axis *a, uint32_t grid, double *w)
{
    memset(w, 0, (size_t)grid * a->n * sizeof *w);
    for (uint32_t g = 0; g < grid; g++) {
        const double in = (g + 0.5) * a->all / grid - a->left;
        const double at = fmin(fmax((in - a->first) / a->step, 0), a->n - 1.0);
        const uint32_t low = (uint32_t)at;
        if (in < 0 || in > a->crop)
            continue;
        w[(size_t)g * a->n + low] += 1 - (at - low);
        if (low + 1 < a->n)
            w[(size_t)g * a->n + low + 1] += at - low;
    }
}

static ken_status spread(const kn_explaining *e, const kn_prep *p, kn_side *s)
{
    kn_window w;
    s->rows = kn_alloc((size_t)e->grid * s->hw[0], sizeof *s->rows);
    s->cols = kn_alloc((size_t)e->grid * s->hw[1], sizeof *s->cols);
    if (!s->rows || !s->cols)
        return KEN_E_NOMEM;
    kn_window_of(&w, p, ken_image_width(s->term->image), ken_image_height(s->term->image));
    const double first = (double)s->grid.first, step = (double)s->grid.step;
    spread_axis(&(axis){ s->hw[0], w.h, w.to_h, w.top, first, step }, e->grid, s->rows);
    spread_axis(&(axis){ s->hw[1], w.w, w.to_w, w.left, first, step }, e->grid, s->cols);
    return KEN_OK;
}

/* What a place weighs in all cells together; 0 where the cells are too large for it. */
static double weight_of(const kn_explaining *e, const kn_side *s, size_t place)
{
    double down = 0, across = 0;
    for (uint32_t g = 0; g < e->grid; g++) {
        down += s->rows[g * s->hw[0] + place / s->hw[1]];
        across += s->cols[g * s->hw[1] + place % s->hw[1]];
    }
    return down * across;
}

static double cell_of(const kn_side *s, const double *places, uint32_t y, uint32_t x, int sign)
{
    double sum = 0;
    for (uint32_t i = 0; i < s->hw[0]; i++)
        for (uint32_t j = 0; j < s->hw[1]; j++) {
            const double w = s->rows[y * s->hw[0] + i] * s->cols[x * s->hw[1] + j];
            sum += w * fmax(sign * places[i * s->hw[1] + j], 0);
        }
    return sum;
}

/* cells (grid, grid) = what the places (h, w) hold, interpolated and scaled */
static void to_cells(const kn_explaining *e, const kn_side *s, const double *places, float *cells)
{
    double have[2] = { 0 }, want[2] = { 0 };
    for (size_t i = 0; i < s->places; i++)
        for (int k = 0; k < 2; k++) {
            const double part = fmax((k ? -1 : 1) * places[i], 0);
            want[k] += part;
            have[k] += part * weight_of(e, s, i);
        }
    for (uint32_t y = 0; y < e->grid; y++)
        for (uint32_t x = 0; x < e->grid; x++) {
            double v = 0;
            for (int k = 0; k < 2; k++)
                if (have[k] > 0)
                    v += (k ? -1 : 1) * want[k] / have[k] * cell_of(s, places, y, x, k ? -1 : 1);
                else /* the few cells of a coarse map miss it: nobody knows where */
                    v += (k ? -1 : 1) * want[k] / ((double)e->grid * e->grid);
            cells[y * e->grid + x] = (float)v;
        }
}

/* share (places): how much of each lies in the cells of a set */
static void from_cells(const kn_explaining *e, const kn_side *s, const uint8_t *set, double *share)
{
    memset(share, 0, s->places * sizeof *share);
    if (!s->rows) { /* words are all in one place */
        share[0] = 1;
        return;
    }
    for (uint32_t y = 0; y < e->grid; y++)
        for (uint32_t x = 0; x < e->grid; x++)
            for (size_t i = 0; set[y * e->grid + x] && i < s->places; i++)
                share[i] += s->rows[y * s->hw[0] + i / s->hw[1]] * s->cols[x * s->hw[1] + i % s->hw[1]];
    for (size_t i = 0; i < s->places; i++) {
        const double all = weight_of(e, s, i);
        share[i] = all > 0 ? share[i] / all : 0;
    }
}

/* out (places of side to) = the pairs' sums, each weighted by the shares of the other side's places */
static void sum_pairs(const kn_explaining *e, int to, const double *share, double *out)
{
    const size_t na = e->side[0].places, nb = e->side[1].places;
    memset(out, 0, e->side[to].places * sizeof *out);
    for (size_t i = 0; i < na; i++)
        for (size_t j = 0; j < nb; j++)
            out[to ? j : i] += e->pairs[i * nb + j] * (share ? share[to ? i : j] : 1);
}

ken_status kn_explain_maps(kn_explaining *e, const kn_prep *p)
{
    for (int i = 0; i < 2; i++) {
        kn_side *s = &e->side[i];
        if (!s->term->image)
            continue;
        ken_status st = spread(e, p, s);
        double *sums = st ? NULL : kn_alloc(s->places, sizeof *sums);
        s->map = kn_alloc((size_t)e->grid * e->grid, sizeof *s->map);
        if (!sums || !s->map) {
            kn_free(sums);
            return st ? st : KEN_E_NOMEM;
        }
        sum_pairs(e, i, NULL, sums);
        to_cells(e, s, sums, s->map);
        kn_free(sums);
    }
    return KEN_OK;
}

/* ---- regions ---- */

typedef struct finder {
    const kn_explaining *e;
    int from, to;             /* sides: regions are looked for on `from`, what they answer to on `to` */
    float *map, *sorted;      /* (cells) of the side that is looked at */
    uint8_t *left, *set[2];   /* (cells): still to be given to a region; the region of each side … */
    uint8_t *label;           /* … and the number, from 1, of all on `from` */
    size_t *stack;            /* (cells) */
    double *share[2], *sums;  /* (places) */
    double all;               /* what speaks for the match */
} finder;

static ken_status gather(finder *f)
{
    const size_t cells = (size_t)f->e->grid * f->e->grid;
    const size_t na = f->e->side[0].places, nb = f->e->side[1].places;
    f->map = kn_alloc(cells, sizeof *f->map);
    f->sorted = kn_alloc(cells, sizeof *f->sorted);
    f->left = kn_alloc(cells, 1);
    f->label = kn_zalloc(cells, 1);
    f->stack = kn_alloc(cells, sizeof *f->stack);
    f->sums = kn_alloc(na > nb ? na : nb, sizeof *f->sums);
    int ok = f->map && f->sorted && f->left && f->label && f->stack && f->sums;
    for (int i = 0; i < 2; i++) {
        f->set[i] = kn_zalloc(cells, 1);
        f->share[i] = kn_zalloc(f->e->side[i].places, sizeof *f->share[i]);
        ok = ok && f->set[i] && f->share[i];
    }
    for (size_t i = 0; i < na * nb; i++)
        f->all += fmax(f->e->pairs[i], 0);
    return ok ? KEN_OK : KEN_E_NOMEM;
}

static void release(finder *f)
{
    kn_free(f->map);
    kn_free(f->sorted);
    kn_free(f->left);
    kn_free(f->label);
    kn_free(f->stack);
    kn_free(f->sums);
    for (int i = 0; i < 2; i++) {
        kn_free(f->set[i]);
        kn_free(f->share[i]);
    }
}

static int falling(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* left: the fewest cells of f->map that hold CARRIES of what is positive */
static void choose_cells(finder *f)
{
    const size_t cells = (size_t)f->e->grid * f->e->grid;
    double sum = 0, part = 0;
    memcpy(f->sorted, f->map, cells * sizeof *f->sorted);
    qsort(f->sorted, cells, sizeof *f->sorted, falling);
    for (size_t i = 0; i < cells; i++)
        sum += fmax((double)f->sorted[i], 0);
    float least = f->sorted[0];
    for (size_t i = 0; i < cells && part < CARRIES * sum; i++) {
        least = f->sorted[i];
        part += (double)least;
    }
    for (size_t i = 0; i < cells; i++)
        f->left[i] = f->map[i] > 0 && f->map[i] >= least;
}

/* set: the cells around the greatest of those left, no longer left; 0: none */
static int take_region(finder *f, uint8_t *set)
{
    const size_t g = f->e->grid, cells = g * g;
    size_t best = cells, n = 0;
    for (size_t i = 0; i < cells; i++)
        if (f->left[i] && (best == cells || f->map[i] > f->map[best]))
            best = i;
    memset(set, 0, cells);
    if (best == cells)
        return 0;
    f->left[best] = 0;
    f->stack[n++] = best;
    while (n) {
        const size_t at = f->stack[--n], y = at / g, x = at % g;
        const size_t next[4] = { y ? at - g : at, y + 1 < g ? at + g : at, x ? at - 1 : at,
                                 x + 1 < g ? at + 1 : at };
        set[at] = 1;
        for (int k = 0; k < 4; k++)
            if (f->left[next[k]]) {
                f->left[next[k]] = 0;
                f->stack[n++] = next[k];
            }
    }
    return 1;
}

/* The box around a set of cells, in pixels of the picture. */
static void box_of(const kn_explaining *e, const kn_side *s, const uint8_t *set, uint32_t box[4])
{
    const uint64_t g = e->grid;
    uint64_t low[2] = { g, g }, high[2] = { 0, 0 };
    if (!s->map)
        return;
    const uint64_t size[2] = { ken_image_width(s->term->image), ken_image_height(s->term->image) };
    for (uint64_t i = 0; i < g * g; i++)
        for (int k = 0; set[i] && k < 2; k++) {
            const uint64_t at = k ? i / g : i % g;
            low[k] = at < low[k] ? at : low[k];
            high[k] = at + 1 > high[k] ? at + 1 : high[k];
        }
    for (int k = 0; k < 2; k++) {
        const uint64_t from = low[k] * size[k] / g, to = (high[k] * size[k] + g - 1) / g;
        box[k] = (uint32_t)from;
        box[2 + k] = (uint32_t)(to - from);
    }
}

/* The regions of `from`, numbered; how many. */
static size_t label_regions(finder *f, size_t most)
{
    const size_t cells = (size_t)f->e->grid * f->e->grid;
    size_t n = 0;
    memcpy(f->map, f->e->side[f->from].map, cells * sizeof *f->map);
    choose_cells(f);
    while (n < most && take_region(f, f->set[f->from])) {
        n++;
        for (size_t i = 0; i < cells; i++)
            if (f->set[f->from][i])
                f->label[i] = (uint8_t)n;
    }
    return n;
}

/* The region of that number, and what it answers to on the other side. */
static void find_pair(finder *f, size_t number)
{
    const kn_explaining *e = f->e;
    const size_t cells = (size_t)e->grid * e->grid;
    for (size_t i = 0; i < cells; i++)
        f->set[f->from][i] = f->label[i] == number;
    from_cells(e, &e->side[f->from], f->set[f->from], f->share[f->from]);
    if (e->side[f->to].map) {
        sum_pairs(e, f->to, f->share[f->from], f->sums);
        to_cells(e, &e->side[f->to], f->sums, f->map);
        choose_cells(f);
        take_region(f, f->set[f->to]);
    }
    from_cells(e, &e->side[f->to], f->set[f->to], f->share[f->to]);
}

static double share_of(const finder *f)
{
    const size_t na = f->e->side[0].places, nb = f->e->side[1].places;
    double sum = 0;
    for (size_t i = 0; i < na; i++)
        for (size_t j = 0; j < nb; j++)
            sum += f->share[0][i] * f->e->pairs[i * nb + j] * f->share[1][j];
    return f->all > 0 ? sum / f->all : 0;
}

static int by_share(const void *a, const void *b)
{
    const ken_region *x = a, *y = b;
    return x->share < y->share ? 1 : x->share > y->share ? -1 : 0;
}

ken_status kn_explain_regions(const kn_explaining *e, ken_region *regions, size_t most, size_t *found)
{
    finder f = { .e = e, .from = e->side[0].map ? 0 : 1 };
    f.to = 1 - f.from;
    *found = 0;
    const ken_status st = gather(&f);
    const size_t n = st ? 0 : label_regions(&f, most);
    for (size_t i = 0; i < n; i++) {
        ken_region r = { .share = 0 };
        find_pair(&f, i + 1);
        r.share = (float)share_of(&f);
        box_of(e, &e->side[0], f.set[0], r.a);
        box_of(e, &e->side[1], f.set[1], r.b);
        if (r.share > 0)
            regions[(*found)++] = r;
    }
    qsort(regions, *found, sizeof *regions, by_share);
    release(&f);
    return st;
}
