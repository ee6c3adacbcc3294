/* wino.h - tiles of Winograd's convolutions: lanes are channels. */
#ifndef KERNELS_LANES_WINO_H
#define KERNELS_LANES_WINO_H

#include "kernels/lanes/lanes.h"

/* Of one tile: where its pixels are, NULL outside the map. */
typedef struct tile_spot {
    const char *row[4]; /* lines of the image */
    int64_t x;          /* first column */
    size_t w, c;
} tile_spot;

INLINE size_t wino_size(kn_type type)
{
    return type == KN_BF16 ? 2 : sizeof(float);
}

/* `side` rows from `border` pixels before the tile's first one on. */
INLINE tile_spot tile_at(const kn_tiles *s, kn_type type, size_t t, int side, int border)
{
    const size_t across = (s->w + 1) / 2, down = (s->h + 1) / 2, at = t % (across * down);
    const int64_t y = (int64_t)(at / across) * 2 - border;
    const size_t line = (size_t)s->w * s->c * wino_size(type);
    const char *image = (const char *)s->x + t / (across * down) * s->h * line;
    tile_spot p = { .x = (int64_t)(at % across) * 2 - border, .w = s->w, .c = s->c };
    for (int i = 0; i < side; i++)
        p.row[i] = y + i >= 0 && y + i < s->h ? image + (size_t)(y + i) * line : NULL;
    return p;
}

INLINE vf tile_pixel(const tile_spot *p, kn_type type, int y, int x, size_t ch, size_t n)
{
    const int64_t at = p->x + x;
    if (!p->row[y] || at < 0 || at >= (int64_t)p->w)
        return v_set(0);
    return load_as(p->row[y], type, (size_t)at * p->c + ch, n);
}

/* B^T d of a column */
INLINE void spread_in(const vf d[4], vf out[4])
{
    out[0] = v_sub(d[0], d[2]);
    out[1] = v_add(d[1], d[2]);
    out[2] = v_sub(d[2], d[1]);
    out[3] = v_sub(d[1], d[3]);
}

INLINE void tiles_in_as(kn_type type, const kn_tiles *s, size_t t0, size_t t1, void *v, size_t apart)
{
    for (size_t t = t0; t < t1; t++) {
        const tile_spot p = tile_at(s, type, t, 4, 1);
        for (size_t ch = 0; ch < s->c; ch += VL) {
            const size_t n = s->c - ch, to = (t - t0) * s->c + ch;
            vf half[4][4];
            KN_UNROLL
            for (int x = 0; x < 4; x++) {
                vf d[4];
                KN_UNROLL
                for (int y = 0; y < 4; y++)
                    d[y] = tile_pixel(&p, type, y, x, ch, n);
                spread_in(d, half[x]);
            }
            KN_UNROLL
            for (int y = 0; y < 4; y++) {
                vf out[4];
                spread_in((const vf[]){ half[0][y], half[1][y], half[2][y], half[3][y] }, out);
                KN_UNROLL
                for (int x = 0; x < 4; x++)
                    store_as(v, type, (size_t)(y * 4 + x) * apart + to, n, out[x]);
            }
        }
    }
}

/* A e of a column */
INLINE void spread_out(vf a, vf b, vf out[4])
{
    out[0] = a;
    out[1] = v_add(a, b);
    out[2] = v_sub(a, b);
    out[3] = v_sub(v_set(0), b);
}

INLINE void tiles_grad_as(kn_type type, const kn_tiles *s, size_t t0, size_t t1, void *v, size_t apart)
{
    for (size_t t = t0; t < t1; t++) {
        const tile_spot p = tile_at(s, type, t, 2, 0);
        for (size_t ch = 0; ch < s->c; ch += VL) {
            const size_t n = s->c - ch, to = (t - t0) * s->c + ch;
            vf half[2][4];
            KN_UNROLL
            for (int x = 0; x < 2; x++)
                spread_out(tile_pixel(&p, type, 0, x, ch, n), tile_pixel(&p, type, 1, x, ch, n), half[x]);
            KN_UNROLL
            for (int y = 0; y < 4; y++) {
                vf out[4];
                spread_out(half[0][y], half[1][y], out);
                KN_UNROLL
                for (int x = 0; x < 4; x++)
                    store_as(v, type, (size_t)(y * 4 + x) * apart + to, n, out[x]);
            }
        }
    }
}

INLINE void tile_store(kn_type type, char *row, const tile_spot *p, int x, size_t ch, size_t n, int add,
                       vf sum)
{
    const int64_t at = p->x + x;
    if (!row || at >= (int64_t)p->w)
        return;
    const size_t i = (size_t)at * p->c + ch;
    store_as(row, type, i, n, add ? v_add(load_as(row, type, i, n), sum) : sum);
}

INLINE void tiles_out_as(kn_type type, const float *m, size_t apart, const kn_tiles *s, size_t t0, size_t t1,
                         int add, void *y)
{
    kn_tiles into = *s;
    into.x = y;
    for (size_t t = t0; t < t1; t++) {
        const tile_spot p = tile_at(&into, type, t, 2, 0);
        for (size_t ch = 0; ch < s->c; ch += VL) {
            const size_t n = s->c - ch;
            const float *e = m + (t - t0) * s->c + ch;
            vf half[2][4];
            KN_UNROLL
            for (size_t i = 0; i < 4; i++) { /* A^T m, column i */
                const vf a = load_as(e + i * apart, KN_F32, 0, n);
                const vf b = load_as(e + (4 + i) * apart, KN_F32, 0, n);
                const vf c = load_as(e + (8 + i) * apart, KN_F32, 0, n);
                half[0][i] = v_add(v_add(a, b), c);
                half[1][i] = v_sub(v_sub(b, c), load_as(e + (12 + i) * apart, KN_F32, 0, n));
            }
            KN_UNROLL
            for (int r = 0; r < 2; r++) {
                char *row = (char *)(uintptr_t)p.row[r];
                const vf *q = half[r];
                tile_store(type, row, &p, 0, ch, n, add, v_add(v_add(q[0], q[1]), q[2]));
                tile_store(type, row, &p, 1, ch, n, add, v_sub(v_sub(q[1], q[2]), q[3]));
            }
        }
    }
}

static void tiles_in(const kn_tiles *s, size_t t0, size_t t1, void *v, size_t apart)
{
    if (s->type == KN_BF16)
        tiles_in_as(KN_BF16, s, t0, t1, v, apart);
    else
        tiles_in_as(KN_F32, s, t0, t1, v, apart);
}

static void tiles_grad(const kn_tiles *s, size_t t0, size_t t1, void *v, size_t apart)
{
    if (s->type == KN_BF16)
        tiles_grad_as(KN_BF16, s, t0, t1, v, apart);
    else
        tiles_grad_as(KN_F32, s, t0, t1, v, apart);
}

static void tiles_out(const float *m, size_t apart, const kn_tiles *s, size_t t0, size_t t1, int add, void *y)
{
    if (s->type == KN_BF16)
        tiles_out_as(KN_BF16, m, apart, s, t0, t1, add, y);
    else
        tiles_out_as(KN_F32, m, apart, s, t0, t1, add, y);
}

INLINE void put_wino(kn_kernels *k)
{
    k->tiles_in = tiles_in;
    k->tiles_grad = tiles_grad;
    k->tiles_out = tiles_out;
}

#endif
