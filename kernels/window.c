/* window.c - rows of a convolution's matrix product, gathered from the input.
 *
 * Where channels fill whole blocks, runs of neighbouring pixels are packed from where they lie.
 * Else they are brought together first: a small window (the stem of a network) line by line, a
 * large one stretch by stretch. */
#include "kernels/window.h"

#include <string.h>

enum { GATHER = 512 }; /* columns brought together at a time */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t a_size(const kn_conv *c)
{
    return c->g.math == KN_MATH_BF16 ? 2 : sizeof(float);
}

/* Taps of a window's line are neighbours in the input. */
static int joined(const kn_conv *c)
{
    return c->dilation == 1 && c->g.lda == c->cin;
}

kn_window kn_window_at(const kn_conv *c, size_t m)
{
    const size_t pixels = (size_t)c->oh * c->ow, at = m % pixels;
    kn_window w = { .image = m / pixels,
                    .oy = (uint32_t)(at / c->ow),
                    .ox = (uint32_t)(at % c->ow) };
    w.y = (int64_t)w.oy * c->stride - c->pad;
    w.x = (int64_t)w.ox * c->stride - c->pad;
    return w;
}

void kn_window_next(const kn_conv *c, kn_window *at)
{
    at->x += c->stride;
    if (++at->ox < c->ow)
        return;
    at->ox = 0;
    at->x = -(int64_t)c->pad;
    at->y += c->stride;
    if (++at->oy < c->oh)
        return;
    at->oy = 0;
    at->y = -(int64_t)c->pad;
    at->image++;
}

static const char *pixel(const kn_conv *c, size_t image, int64_t y, int64_t x)
{
    const size_t at = (image * c->h + (size_t)y) * c->w + (size_t)x;
    return (const char *)c->g.a + at * c->g.lda * a_size(c);
}

/* The columns from k on that lie one behind the other in the input (*from), or that are all zero
 * (NULL): how many, at most `most`. */
static size_t run(const kn_conv *c, const kn_window *at, size_t k, size_t most, const char **from)
{
    const uint32_t tap = (uint32_t)k / c->cin, channel = (uint32_t)k % c->cin;
    const uint32_t y = tap / c->kw, x = tap % c->kw;
    const int64_t iy = at->y + (int64_t)y * c->dilation, ix = at->x + (int64_t)x * c->dilation;
    size_t taps = 1;
    *from = NULL;
    if (iy < 0 || iy >= c->h)
        taps = c->kw - x;
    else if (ix >= 0 && ix < c->w) {
        *from = pixel(c, at->image, iy, ix) + channel * a_size(c);
        if (joined(c))
            taps = least(c->w - (size_t)ix, c->kw - x);
    }
    return least(taps * c->cin - channel, most);
}

static void pack_runs(const kn_core *core, const kn_conv *c, const kn_window *at, size_t k,
                      size_t n, char *to, size_t stride)
{
    const char *from;
    for (size_t i = 0, got; i < n; i += got) {
        got = run(c, at, k + i, n - i, &from);
        core->pack(from, got, to + i / core->k_step * stride, stride);
    }
}

static void gather_runs(const kn_conv *c, const kn_window *at, size_t k, size_t n, char *row)
{
    const size_t size = a_size(c);
    const char *from;
    for (size_t i = 0, got; i < n; i += got) {
        got = run(c, at, k + i, n - i, &from);
        if (from)
            memcpy(row + i * size, from, got * size);
        else
            memset(row + i * size, 0, got * size);
    }
}

const void *kn_window_row(const kn_conv *c, const kn_window *at, size_t k, size_t n, void *room)
{
    const char *from;
    if (run(c, at, k, n, &from) == n && from)
        return from;
    gather_runs(c, at, k, n, room);
    return room;
}

/* ---- the same columns of many rows ---- */

/* A stretch of columns that lie one behind the other in the input where all its taps are inside. */
typedef struct stretch {
    int64_t y, x;      /* of its first tap, from the window's corner */
    size_t taps;
    size_t from, len;  /* bytes: the first channel, all columns */
    size_t k, to;      /* its first column, and its place in the row in bytes */
} stretch;

static size_t cut(const kn_conv *c, size_t k, size_t n, stretch *s)
{
    size_t count = 0;
    for (size_t i = 0, len; i < n; i += len) {
        const size_t tap = (k + i) / c->cin, channel = (k + i) % c->cin, x = tap % c->kw;
        const size_t most = joined(c) ? c->kw - x : 1;
        len = least(most * c->cin - channel, n - i);
        s[count++] = (stretch){ .y = (int64_t)(tap / c->kw) * c->dilation, .x = (int64_t)x * c->dilation,
                                .taps = (channel + len + c->cin - 1) / c->cin,
                                .from = channel * a_size(c), .len = len * a_size(c),
                                .k = k + i, .to = i * a_size(c) };
    }
    return count;
}

/* ---- gathering ---- */

/* A few dozen bytes: sixteen at a time, the last ones once more where they don't divide. */
static void copy_short(char *to, const char *from, size_t bytes)
{
    if (bytes < 16) {
        memcpy(to, from, bytes);
        return;
    }
    for (size_t i = 0; i + 16 < bytes; i += 16)
        memcpy(to + i, from + i, 16);
    memcpy(to + bytes - 16, from + bytes - 16, 16);
}

/* A whole window of joined lines: the same taps of each line lie within the input. */
static void gather_lines(const kn_conv *c, const kn_window *at, char *row)
{
    const size_t tap = c->cin * a_size(c), line = tap * c->kw;
    const int64_t first = at->x < 0 ? -at->x : 0, end = (int64_t)c->w - at->x;
    const size_t x0 = least((size_t)first, c->kw);
    const size_t x1 = end <= (int64_t)x0 ? x0 : least((size_t)end, c->kw);
    for (uint32_t y = 0; y < c->kh; y++, row += line) {
        const int64_t iy = at->y + y;
        if (iy < 0 || iy >= c->h || x0 == x1) {
            memset(row, 0, line);
            continue;
        }
        if (x1 - x0 < c->kw)
            memset(row, 0, line);
        copy_short(row + x0 * tap, pixel(c, at->image, iy, at->x + (int64_t)x0), (x1 - x0) * tap);
    }
}

void kn_window_pack(const kn_core *core, const kn_conv *c, const kn_window *at, size_t k, size_t n,
                    void *to, size_t stride)
{
    char row[GATHER * sizeof(float)];
    if (c->cin % core->k_step == 0) {
        pack_runs(core, c, at, k, n, to, stride);
        return;
    }
    for (size_t i = 0; i < n; i += GATHER) {
        const size_t len = least(GATHER, n - i);
        if (len == c->g.k && joined(c))
            gather_lines(c, at, row);
        else
            gather_runs(c, at, k + i, len, row);
        core->pack(row, len, (char *)to + i / core->k_step * stride, stride);
    }
}

/* ---- many rows ---- */

/* The window moves on by `pixels`, which end with a line or before it. */
static void advance(const kn_conv *c, kn_window *at, size_t pixels)
{
    at->ox += (uint32_t)(pixels - 1);
    at->x += (int64_t)(pixels - 1) * c->stride;
    kn_window_next(c, at);
}

static void borrow_rows(const kn_conv *c, kn_window *at, const stretch *s, size_t count, const void **rows)
{
    static const float zeros[KN_WINDOW_ROOM];
    const size_t step = c->g.lda * a_size(c);
    for (size_t i = 0, got; i < count; i += got, rows += got) {
        const int64_t y = at->y + s->y;
        int64_t x = at->x + s->x;
        const int inside = y >= 0 && y < c->h;
        const char *line = pixel(c, at->image, inside ? y : 0, 0) + s->from;
        got = least(c->ow - at->ox, count - i);
        for (size_t j = 0; j < got; j++, x += c->stride)
            rows[j] = inside && x >= 0 && x < c->w ? (const void *)(line + (size_t)x * step) : zeros;
        advance(c, at, got);
    }
}

static void gather_row(const kn_conv *c, const kn_window *at, const stretch *s, size_t stretches, char *to)
{
    for (size_t i = 0; i < stretches; i++, s++) {
        const int64_t y = at->y + s->y, x = at->x + s->x;
        if (y >= 0 && y < c->h && x >= 0 && x + (int64_t)s->taps <= c->w)
            copy_short(to + s->to, pixel(c, at->image, y, x) + s->from, s->len);
        else
            gather_runs(c, at, s->k, s->len / a_size(c), to + s->to);
    }
}

void kn_window_rows(const kn_conv *c, kn_window *at, size_t k, size_t n, size_t count, int borrow,
                    const void **rows, void *room)
{
    stretch s[KN_WINDOW_ROOM];
    const size_t stretches = cut(c, k, n, s), row = KN_WINDOW_ROOM * a_size(c);
    if (borrow && stretches == 1 && s->taps == 1) {
        borrow_rows(c, at, s, count, rows);
        return;
    }
    for (size_t i = 0; i < count; i++, kn_window_next(c, at)) {
        rows[i] = (char *)room + i * row;
        gather_row(c, at, s, stretches, (char *)room + i * row);
    }
}
