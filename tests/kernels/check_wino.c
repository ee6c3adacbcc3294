/* check_wino.c - kernels/<level>/wino.c: through the tiles and back is a convolution, channel by
 * channel, of which every output pixel and every weight's gradient is known in double. */
#include "product.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { TAPS = 9, SPOTS = 16 };

/* Maps with a filter for each channel. */
typedef struct maps {
    kn_tiles s;
    size_t images, tiles, n;
    float *w; /* (c, 9) */
    void *dy;
} maps;

static double get(kn_type type, const void *p, size_t i)
{
    return (double)(type == KN_BF16 ? ck_from_bf16(((const uint16_t *)p)[i]) : ((const float *)p)[i]);
}

static size_t bytes(const maps *m, size_t n)
{
    return n * (m->s.type == KN_BF16 ? 2 : sizeof(float));
}

static maps fill(ck *t, size_t images, uint32_t h, uint32_t w, uint32_t c, kn_type type)
{
    maps m = { .s = { .type = type, .h = h, .w = w, .c = c }, .images = images };
    m.n = images * h * w * c;
    m.tiles = images * kn_tiles_of(&m.s);
    m.s.x = product_random(t, m.n, type);
    m.dy = product_random(t, m.n, type);
    m.w = product_random(t, (size_t)c * TAPS, KN_F32);
    return m;
}

static double at(const maps *m, const void *p, size_t image, int64_t y, int64_t x, size_t ch)
{
    if (y < 0 || x < 0 || y >= m->s.h || x >= m->s.w)
        return 0;
    return get(m->s.type, p, ((image * m->s.h + (size_t)y) * m->s.w + (size_t)x) * m->s.c + ch);
}

/* G g G^T, and G^T u G with transposed. */
static const double G[4][3] = { { 1, 0, 0 }, { .5, .5, .5 }, { .5, -.5, .5 }, { 0, 0, 1 } };

static void filter(const float *g, double u[SPOTS])
{
    for (int i = 0; i < SPOTS; i++) {
        u[i] = 0;
        for (int y = 0; y < 3; y++)
            for (int x = 0; x < 3; x++)
                u[i] += G[i / 4][y] * (double)g[y * 3 + x] * G[i % 4][x];
    }
}

static double unfilter(const double u[SPOTS], int y, int x)
{
    double sum = 0;
    for (int i = 0; i < SPOTS; i++)
        sum += G[i / 4][y] * u[i] * G[i % 4][x];
    return sum;
}

/* What is stored in between is rounded, in bf16 by much. */
static double slack(const maps *m)
{
    return m->s.type == KN_BF16 ? 1.0 / 64 : 64 * (double)FLT_EPSILON;
}

static float *multiply(ck *t, const maps *m, size_t t0, size_t t1, size_t apart, size_t room)
{
    void *v = ck_guarded(t, bytes(m, room));
    float *out = ck_guarded(t, room * sizeof *out);
    t->now.tiles_in(&m->s, t0, t1, v, apart);
    for (size_t i = 0; i < SPOTS; i++)
        for (size_t j = 0; j < (t1 - t0) * m->s.c; j++) {
            double u[SPOTS];
            filter(m->w + j % m->s.c * TAPS, u);
            out[i * apart + j] = (float)(get(m->s.type, v, i * apart + j) * u[i]);
        }
    return out;
}

/* In two pieces, so that tiles begin anywhere; with add, onto what y held. */
static void forward(ck *t, const maps *m)
{
    for (int add = 0; add < 2; add++) {
        void *y = ck_guarded(t, bytes(m, m->n));
        memcpy(y, m->dy, bytes(m, m->n));
        const size_t cut[3] = { 0, m->tiles / 3, m->tiles };
        for (int i = 0; i < 2; i++) {
            const size_t n = cut[i + 1] - cut[i], apart = n * m->s.c + (size_t)i * 5;
            if (!n)
                continue;
            const float *e = multiply(t, m, cut[i], cut[i + 1], apart, 15 * apart + n * m->s.c);
            t->now.tiles_out(e, apart, &m->s, cut[i], cut[i + 1], add, y);
        }
        for (size_t i = 0; i < m->n; i++) {
            const size_t ch = i % m->s.c, pixel = i / m->s.c, line = pixel / m->s.w;
            double want = add ? get(m->s.type, m->dy, i) : 0, size = fabs(want);
            for (int k = 0; k < TAPS; k++) {
                const double term = (double)m->w[ch * TAPS + (size_t)k] *
                                    at(m, m->s.x, line / m->s.h, (int64_t)(line % m->s.h) + k / 3 - 1,
                                       (int64_t)(pixel % m->s.w) + k % 3 - 1, ch);
                want += term;
                size += fabs(term);
            }
            ck_near(t, get(m->s.type, y, i), want, slack(m) * (size + 2), "h=%u w=%u c=%u add=%d i=%zu", m->s.h,
                    m->s.w, m->s.c, add, i);
        }
    }
}

static void gradient(ck *t, const maps *m)
{
    const size_t apart = m->tiles * m->s.c;
    void *v = ck_guarded(t, bytes(m, SPOTS * apart)), *e = ck_guarded(t, bytes(m, SPOTS * apart));
    kn_tiles dy = m->s;
    dy.x = m->dy;
    t->now.tiles_in(&m->s, 0, m->tiles, v, apart);
    t->now.tiles_grad(&dy, 0, m->tiles, e, apart);
    for (size_t ch = 0; ch < m->s.c; ch++) {
        double u[SPOTS] = { 0 };
        for (size_t i = 0; i < SPOTS; i++)
            for (size_t j = ch; j < apart; j += m->s.c)
                u[i] += get(m->s.type, v, i * apart + j) * get(m->s.type, e, i * apart + j);
        for (int k = 0; k < TAPS; k++) {
            double want = 0;
            for (size_t p = 0; p < m->images * m->s.h * m->s.w; p++) {
                const size_t line = p / m->s.w;
                want += get(m->s.type, m->dy, p * m->s.c + ch) *
                        at(m, m->s.x, line / m->s.h, (int64_t)(line % m->s.h) + k / 3 - 1,
                           (int64_t)(p % m->s.w) + k % 3 - 1, ch);
            }
            ck_near(t, unfilter(u, k / 3, k % 3), want, slack(m) * 4 * (1 + sqrt((double)m->tiles)),
                    "dw h=%u w=%u c=%u ch=%zu k=%d", m->s.h, m->s.w, m->s.c, ch, k);
        }
    }
}

static void bench(ck *t)
{
    const maps m = fill(t, 4, 32, 32, 64, KN_F32);
    const size_t apart = m.tiles * m.s.c;
    float *v = product_random(t, SPOTS * apart, KN_F32);
    if (!strcmp(t->kernel, "tiles_in"))
        CK_BENCH(t, "f32", (t->ref.tiles_in(&m.s, 0, m.tiles, v, apart), 0),
                 (t->now.tiles_in(&m.s, 0, m.tiles, v, apart), 0));
    if (!strcmp(t->kernel, "tiles_grad"))
        CK_BENCH(t, "f32", (t->ref.tiles_grad(&m.s, 0, m.tiles, v, apart), 0),
                 (t->now.tiles_grad(&m.s, 0, m.tiles, v, apart), 0));
    if (!strcmp(t->kernel, "tiles_out"))
        CK_BENCH(t, "f32", (t->ref.tiles_out(v, apart, &m.s, 0, m.tiles, 0, m.dy), 0),
                 (t->now.tiles_out(v, apart, &m.s, 0, m.tiles, 0, m.dy), 0));
    ck_release(t);
}

static void each(ck *t, void (*fn)(ck *, const maps *))
{
    static const uint32_t channels[] = { 1, 3, 7, 8, 9, 16, 17, 31, 64 };
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
        for (uint32_t side = 1; side <= 6; side++)
            for (int type = 0; type < 2; type++) {
                const maps m = fill(t, 1 + i % 2, side, 1 + (side * 5 + (uint32_t)i) % 7, channels[i],
                                    type ? KN_BF16 : KN_F32);
                fn(t, &m);
                ck_release(t);
            }
    bench(t);
}

void check_wino(ck *t)
{
    if (CK_BEGIN(t, tiles_in))
        each(t, forward);
    if (CK_BEGIN(t, tiles_grad))
        each(t, gradient);
    if (CK_BEGIN(t, tiles_out))
        each(t, forward);
}
