/* wino.c - tiles of Winograd's convolutions, one channel at a time. */
#include "kernels/c/panel.h"
#include "kernels/levels.h"

static void store(void *p, kn_type type, size_t i, float x)
{
    if (type == KN_BF16)
        ((uint16_t *)p)[i] = to_bf16(x);
    else
        ((float *)p)[i] = x;
}

/* Element of channel ch of pixel (y, x) of an image; -1: outside. */
static int64_t pixel(const kn_tiles *s, size_t image, int64_t y, int64_t x, size_t ch)
{
    if (y < 0 || x < 0 || y >= s->h || x >= s->w)
        return -1;
    return (int64_t)((((image * s->h) + (size_t)y) * s->w + (size_t)x) * s->c + ch);
}

typedef struct spot {
    size_t image;
    int64_t y, x; /* of the tile's first output pixel */
} spot;

static spot spot_of(const kn_tiles *s, size_t t)
{
    const size_t across = (s->w + 1) / 2, down = (s->h + 1) / 2, at = t % (across * down);
    return (spot){ t / (across * down), (int64_t)(at / across) * 2, (int64_t)(at % across) * 2 };
}

/* B^T d of a column */
static void spread_in(const float d[4], float out[4])
{
    out[0] = d[0] - d[2];
    out[1] = d[1] + d[2];
    out[2] = d[2] - d[1];
    out[3] = d[1] - d[3];
}

static void tiles_in(const kn_tiles *s, size_t t0, size_t t1, void *v, size_t apart)
{
    for (size_t t = t0; t < t1; t++)
        for (size_t ch = 0; ch < s->c; ch++) {
            const spot p = spot_of(s, t);
            float d[4][4], half[4][4], out[4];
            for (int x = 0; x < 4; x++) {
                for (int y = 0; y < 4; y++) {
                    const int64_t at = pixel(s, p.image, p.y + y - 1, p.x + x - 1, ch);
                    d[x][y] = at < 0 ? 0 : load_as(s->x, s->type, (size_t)at);
                }
                spread_in(d[x], half[x]);
            }
            for (int y = 0; y < 4; y++) {
                spread_in((float[]){ half[0][y], half[1][y], half[2][y], half[3][y] }, out);
                for (int x = 0; x < 4; x++)
                    store(v, s->type, (size_t)(y * 4 + x) * apart + (t - t0) * s->c + ch, out[x]);
            }
        }
}

/* A e of a column */
static void spread_out(float a, float b, float out[4])
{
    out[0] = a;
    out[1] = a + b;
    out[2] = a - b;
    out[3] = -b;
}

static void tiles_grad(const kn_tiles *s, size_t t0, size_t t1, void *v, size_t apart)
{
    for (size_t t = t0; t < t1; t++)
        for (size_t ch = 0; ch < s->c; ch++) {
            const spot p = spot_of(s, t);
            float e[2][2], half[2][4], out[4];
            for (int x = 0; x < 2; x++) {
                for (int y = 0; y < 2; y++) {
                    const int64_t at = pixel(s, p.image, p.y + y, p.x + x, ch);
                    e[x][y] = at < 0 ? 0 : load_as(s->x, s->type, (size_t)at);
                }
                spread_out(e[x][0], e[x][1], half[x]);
            }
            for (int y = 0; y < 4; y++) {
                spread_out(half[0][y], half[1][y], out);
                for (int x = 0; x < 4; x++)
                    store(v, s->type, (size_t)(y * 4 + x) * apart + (t - t0) * s->c + ch, out[x]);
            }
        }
}

static void tiles_out(const float *m, size_t apart, const kn_tiles *s, size_t t0, size_t t1, int add, void *y)
{
    for (size_t t = t0; t < t1; t++)
        for (size_t ch = 0; ch < s->c; ch++) {
            const spot p = spot_of(s, t);
            const float *e = m + (t - t0) * s->c + ch;
            float half[2][4];
            for (size_t i = 0; i < 4; i++) { /* A^T m, column i */
                const float a = e[i * apart], b = e[(4 + i) * apart], c = e[(8 + i) * apart];
                half[0][i] = a + b + c;
                half[1][i] = b - c - e[(12 + i) * apart];
            }
            for (int r = 0; r < 2; r++)
                for (int x = 0; x < 2; x++) {
                    const int64_t at = pixel(s, p.image, p.y + r, p.x + x, ch);
                    const float *q = half[r];
                    const float sum = x ? q[1] - q[2] - q[3] : q[0] + q[1] + q[2];
                    if (at >= 0)
                        store(y, s->type, (size_t)at, add ? load_as(y, s->type, (size_t)at) + sum : sum);
                }
        }
}

void kn_wino_c(kn_kernels *k)
{
    k->tiles_in = tiles_in;
    k->tiles_grad = tiles_grad;
    k->tiles_out = tiles_out;
}
